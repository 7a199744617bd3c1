//! Shows the whole way once: containerd, the shim, an emulated core, an RTOS, its console.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use qemu_tests::{Artifacts, Containerd, Ctr, Kept, Options, Pty};

use crate::sh::{self, Steps};
use crate::workspace::Workspace;
use crate::{build, setup};

/// What the test RTOS says when it waits for a command.
const PROMPT: &str = "rtos# ";
/// What the demo asks it.
const QUESTIONS: [&str; 3] = ["help", "uname", "uptime"];
/// The container's id.
const ID: &str = "hello";
/// containerd's name for the shim.
const RUNTIME: &str = "io.containerd.mica.v2";
/// How long the RTOS may take to boot and to answer: under a second each on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Steps of [`show`].
const STEPS: usize = 5;

/// The environment in which the demo calls itself as root: what `setup` and `build` have found and made.
const QEMU: &str = "MICRUN_QEMU";
const ARTIFACTS: &str = "MICRUN_ARTIFACTS";

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    /// Leave containerd running.
    keep: bool,
    /// Set-up and build are done: what the demo calls itself with to become root.
    prepared: bool,
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = parse(arguments)?;
    if wish.prepared {
        let qemu = env::var_os(QEMU).context(QEMU)?;
        show(&Artifacts::from_env(), &PathBuf::from(qemu), wish.keep, &mut Steps::new(STEPS))?;
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(1 + build::STEPS + STEPS);
    steps.next("looking for what is missing");
    let qemu = setup::for_demo(&workspace)?;
    let artifacts = build::all(&workspace, &mut steps)?;
    if sh::is_root() {
        show(&artifacts, &qemu, wish.keep, &mut steps)?;
    } else {
        become_root(&workspace, &qemu, wish.keep)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    for argument in arguments {
        match argument.as_str() {
            "--keep" => wish.keep = true,
            "--prepared" => wish.prepared = true,
            other => bail!("argument {other:?}: the demo takes --keep or nothing"),
        }
    }
    Ok(wish)
}

/// containerd needs root; what was built before stays the caller's.
fn become_root(workspace: &Workspace, qemu: &Path, keep: bool) -> Result<()> {
    let variables = [(QEMU, qemu.to_path_buf()), (ARTIFACTS, workspace.artifacts())];
    let mut demo = sh::as_root(env::current_exe()?, variables);
    demo.args(["demo", "--prepared"]).args(keep.then_some("--keep"));
    sh::run(&mut demo)
}

fn show(artifacts: &Artifacts, qemu: &Path, keep: bool, steps: &mut Steps) -> Result<()> {
    steps.next("starting a private containerd");
    let containerd = Containerd::start(&Options::with(artifacts).env(QEMU, qemu))?;
    let told = run_one(&containerd, artifacts, steps).with_context(|| containerd.log());
    if keep {
        farewell(&containerd.keep()?);
    }
    told
}

/// One container's life.
fn run_one(containerd: &Containerd, artifacts: &Artifacts, steps: &mut Steps) -> Result<()> {
    let ctr = containerd.ctr("default");
    ctr.import(&artifacts.hello())?;
    let before = containerd.leaks();
    steps.next("running the container");
    let mut console = ctr.pty(&["run", "--rm", "-t", "--runtime", RUNTIME, Artifacts::HELLO, ID])?;
    print(&console.expect(PROMPT, DEADLINE)?);
    steps.next("talking to the RTOS");
    for question in QUESTIONS {
        console.send(format!("{question}\r").as_bytes())?;
        print(&console.expect(PROMPT, DEADLINE)?);
    }
    steps.next("stopping the container with SIGTERM");
    stop(&ctr, &mut console)?;
    steps.next("looking for what is left");
    containerd.none_left(&before)?;
    println!("    nothing: no process, no mount, no socket, no shared memory, no bundle");
    Ok(())
}

fn stop(ctr: &Ctr, console: &mut Pty) -> Result<()> {
    ctr.ok(&["task", "kill", "-s", "SIGTERM", ID])?;
    let status = console.wait(DEADLINE)?;
    println!("    ctr run has ended: {status}");
    Ok(())
}

/// Shows what the console said, line by line, apart from the demo's own words.
fn print(said: &str) {
    for line in said.lines() {
        println!("    | {}", line.trim_end_matches('\r'));
    }
}

fn farewell(kept: &Kept) {
    let address = kept.address.display();
    let ctr = format!("ctr -a {address}");
    println!("\ncontainerd goes on, with the image in it. As root:\n");
    println!("  {ctr} run --rm -t --runtime {RUNTIME} {} {ID}", Artifacts::HELLO);
    println!("  {ctr} task ls                      # in another terminal");
    println!("  {ctr} task kill -s SIGTERM {ID}    # ends it");
    println!("\nIts log is {}. To end it and remove what it has made:\n", kept.log.display());
    println!(
        "  kill {pid}; tail --pid={pid} -f /dev/null; rm -r {}",
        kept.directory.display(),
        pid = kept.pid
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(arguments: &[&str]) -> Result<Wish> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_arguments_are_read_in_any_order() {
        assert_eq!(wish(&[]).unwrap(), Wish::default());
        assert_eq!(wish(&["--prepared", "--keep"]).unwrap(), Wish { keep: true, prepared: true });
    }

    #[test]
    fn an_unknown_argument_is_refused() {
        let error = wish(&["--kep"]).unwrap_err().to_string();
        assert_eq!(error, "argument \"--kep\": the demo takes --keep or nothing");
    }
}
