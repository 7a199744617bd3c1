//! The project's door: every command that cargo alone can't say.

#![forbid(unsafe_code)]

mod amp;
mod bench;
mod boards;
mod build;
mod demo;
mod dist;
mod fuzz;
mod kernel;
mod kills;
mod layer;
mod lint;
mod miri;
mod model;
mod setup;
mod sh;
mod test;
mod workspace;
mod yocto;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

/// One thing to ask for: `cargo xtask NAME ARGUMENTS`.
struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const TASKS: [Task; 15] = [
    Task {
        name: "setup",
        arguments: "",
        about: "install what is missing: containerd, runc, Docker, QEMU, Rust targets",
        run: setup::task,
    },
    Task {
        name: "build",
        arguments: "",
        about: "build the shim, the image builder, the test RTOS and its image",
        run: build::task,
    },
    Task {
        name: "demo",
        arguments: "[--keep]",
        about: "run an RTOS container under a private containerd and talk to it",
        run: demo::task,
    },
    Task { name: "test", arguments: "", about: "run every test; the last line counts them", run: test::task },
    Task {
        name: "kills",
        arguments: "[--rounds N] [--seed N]",
        about: "kill shim, containerd and QEMU at every step; the last line counts leaks",
        run: kills::task,
    },
    Task {
        name: "amp",
        arguments: "[--fast] [--shell] [TEST]",
        about: "boot an arm64 Linux beside a core for firmware and run tests in it",
        run: amp::task,
    },
    Task {
        name: "boards",
        arguments: "",
        about: "check board files against their device tree overlays",
        run: boards::task,
    },
    Task {
        name: "lint",
        arguments: "",
        about: "check formatting, clippy, documentation and, if installed, cargo-deny",
        run: lint::task,
    },
    Task {
        name: "dist",
        arguments: "",
        about: "pack the sources and the crates they need into one archive",
        run: dist::task,
    },
    Task {
        name: "kernel",
        arguments: "",
        about: "build the kernel module for the oldest and the newest kernel",
        run: kernel::task,
    },
    Task {
        name: "layer",
        arguments: "",
        about: "check the Yocto layer's style, scripts and agreement with the repository",
        run: layer::task,
    },
    Task {
        name: "yocto",
        arguments: "--oe-core DIR --bitbake DIR ...",
        about: "build with the Yocto layer on these trees, and boot what it built",
        run: yocto::task,
    },
    Task {
        name: "bench",
        arguments: "[GROUP] [--json FILE]",
        about: "run the benchmarks and write docs/benchmarks.md",
        run: bench::task,
    },
    Task {
        name: "fuzz",
        arguments: "[TARGET] [--seconds N] [--seed S] [--at E]",
        about: "fuzz what reads bytes from outside",
        run: fuzz::task,
    },
    Task {
        name: "miri",
        arguments: "",
        about: "run the tests of shmem and openamp under Miri (needs nightly Rust)",
        run: miri::task,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    dispatch(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", overview());
        return Ok(ExitCode::SUCCESS);
    };
    match TASKS.iter().find(|task| task.name == name) {
        Some(task) => (task.run)(rest),
        None => bail!("no task {name:?}; the tasks are:\n{}", overview()),
    }
}

fn overview() -> String {
    let call = |task: &Task| format!("{} {}", task.name, task.arguments);
    TASKS.iter().map(|task| format!("cargo xtask {:<28} {}\n", call(task), task.about)).collect()
}

/// Refuses arguments where a task takes none.
fn no_arguments(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => bail!("argument {first:?}: this task takes none"),
    }
}
