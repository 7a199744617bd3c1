//! What a person waits for: from `ctr run` to the first byte on the console, all of containerd included.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qemu_tests::{Artifacts, Containerd, Ctr, Options, busybox, wait_for};

use super::stage::Stage;
use super::streams::readable;
use super::{Measurement, Unit};

/// Runs of each kind that count; one more before them warms caches up.
const ROUNDS: usize = 10;
const DEADLINE: Duration = Duration::from_secs(60);
const MICRUN: [&str; 2] = ["--runtime", "io.containerd.mica.v2"];

pub(super) fn run(stage: &Stage) -> Result<Vec<Measurement>> {
    let options = Options::with(&stage.artifacts).env("MICRUN_QEMU", &stage.tools.qemu);
    let containerd = Containerd::start(&options)?;
    let ctr = containerd.ctr("default");
    let archive = stage.directory().join("busybox.tar");
    busybox::write_image(&stage.tools.busybox, &archive)?;
    ctr.import(&archive)?;
    ctr.import(&stage.artifacts.hello())?;
    let (mut own, mut peers) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        own.push(hello(&ctr, &format!("hello-{round}"))?);
        peers.push(echo(&ctr, &format!("echo-{round}"))?);
    }
    let row = Measurement::new("ctr run, hello on QEMU", Unit::Milliseconds, &own[1..])?;
    Ok(vec![row.peer("runc shim, busybox echo", &peers[1..])?])
}

fn hello(ctr: &Ctr, id: &str) -> Result<f64> {
    let (client, time) = first_byte(ctr, &[&["run", "--rm"], &MICRUN[..], &[Artifacts::HELLO, id]].concat())?;
    ctr.ok(&["task", "kill", "-s", "SIGKILL", id])?;
    end(client)?;
    Ok(time)
}

fn echo(ctr: &Ctr, id: &str) -> Result<f64> {
    let (client, time) =
        first_byte(ctr, &["run", "--rm", busybox::IMAGE, id, "/bin/busybox", "echo", "hello"])?;
    end(client)?;
    Ok(time)
}

/// Runs `ctr`, and gives the time in milliseconds until it says something.
fn first_byte(ctr: &Ctr, arguments: &[&str]) -> Result<(Child, f64)> {
    let mut command = ctr.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let begun = Instant::now();
    let mut client = command.spawn().context("cannot start ctr")?;
    let output = client.stdout.as_mut().context("no pipe")?;
    readable(&*output, DEADLINE).context("the first byte")?;
    let time = begun.elapsed();
    if output.read(&mut [0])? == 0 {
        bail!("ctr has ended without a word");
    }
    Ok((client, time.as_secs_f64() * 1e3))
}

/// Waits for the client's end; what the container still says is thrown away with the pipe's buffer.
fn end(mut client: Child) -> Result<()> {
    wait_for("the end of ctr", DEADLINE, || client.try_wait().transpose())??;
    Ok(())
}
