//! Containers on the board's own core under the board's own containerd, as a person would run them. Only in a guest that
//! has one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use qemu_tests::{Artifacts, PROMPT, Testbed, run_with_input, transcript};

use crate::core::{CPU, is_online};
use crate::module::{MCS, Module, RPROC};
use crate::suite::Test;

/// What the driver and Linux say when firmware ends by itself.
const ENDS: &[&str] = &[
    "the firmware powered CPU",
    "crash detected",
    "handling crash",
    "recovery disabled",
    "recovering remoteproc-cpu3",
];

pub const TESTS: &[Test] = &[
    Test::new("containerd: mcs: run, talk, kill, nothing left", || life(MCS, "mcs")).within(900),
    Test::new("containerd: remoteproc: run, talk, kill, nothing left", || life(RPROC, "remoteproc"))
        .within(900)
        .provoking(ENDS),
];

/// Go programs on emulated cores of a busy host take their time.
const DEADLINE: Duration = Duration::from_secs(300);

/// Whether there is a containerd.
pub fn is_here() -> bool {
    Path::new("/bin/containerd").exists()
}

fn life(module: &'static str, pedestal: &str) -> Result<()> {
    let _module = Module::load(module, "")?;
    let annotation = format!("org.openeuler.micrun.ped.pedestal={pedestal}");
    let bed = Testbed::new()?;
    same_transcript(&bed, &annotation)?;
    killed_on_a_terminal(&bed, &annotation)?;
    bed.clean()?;
    ensure!(is_online(CPU)?, "Linux does not have its core back");
    Ok(())
}

/// What the firmware says is the same on every pedestal, and its status is `ctr`'s.
fn same_transcript(bed: &Testbed, annotation: &str) -> Result<()> {
    let begun = Instant::now();
    let arguments = bed.run_words(&["--rm", "--annotation", annotation], Artifacts::HELLO, "transcript");
    let output = run_with_input(&mut bed.ctr.command(&words(&arguments)), transcript::INPUT, DEADLINE)?;
    ensure!(output.stdout == transcript::OUTPUT, "{:?}, {:?}", output.text(), output.complaint());
    ensure!(output.status.code() == Some(transcript::STATUS.cast_signed()), "{}", output.status);
    println!("ctr run of the transcript: {:.1} s", begun.elapsed().as_secs_f32());
    Ok(())
}

fn killed_on_a_terminal(bed: &Testbed, annotation: &str) -> Result<()> {
    const ID: &str = "terminal";
    let arguments = bed.run_words(&["--rm", "-t", "--annotation", annotation], Artifacts::HELLO, ID);
    let mut console = bed.ctr.pty(&words(&arguments))?;
    // Over `rpmsg_tty` firmware does not know where to say anything until it has heard something.
    console.send(b"\r")?;
    console.expect(PROMPT, DEADLINE)?;
    ensure!(!is_online(CPU)?, "Linux still has the core");
    console.send(b"echo one  two\r")?;
    console.expect("\r\none  two\r\n", DEADLINE)?;
    let ctr = bed.ctr.clone().deadline(DEADLINE);
    let paused = ctr.run(&["task", "pause", ID])?;
    ensure!(!paused.status.success(), "a core was paused");
    ensure!(paused.complaint().contains("pause"), "{}", paused.complaint());
    ctr.ok(&["task", "kill", "-s", "SIGTERM", ID])?;
    let status = console.wait(DEADLINE)?;
    ensure!(status.code() == Some(143), "{status}");
    Ok(())
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}
