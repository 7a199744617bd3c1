//! Checks what a reviewer should not have to.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, no_arguments, setup, sh};

/// Cargo's checks, in the order of how quickly they find something.
fn checks() -> [Vec<&'static str>; 5] {
    const STRICT: [&str; 3] = ["--", "-D", "warnings"];
    [
        vec!["fmt", "--all", "--check"],
        [&["clippy", "--workspace", "--all-targets"][..], &STRICT].concat(),
        [&["clippy"][..], &build::RTOS, &STRICT].concat(),
        [&["clippy"][..], &build::RTOS_RPI4, &STRICT].concat(),
        vec!["doc", "--workspace", "--no-deps", "--document-private-items"],
    ]
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    no_arguments(arguments)?;
    let workspace = Workspace::find()?;
    setup::for_build()?;
    for check in checks() {
        sh::run(workspace.cargo().args(check).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    if sh::works("cargo-deny", &["--version"]) {
        sh::run(workspace.cargo().args(["deny", "check"]))?;
    } else {
        println!("cargo-deny is not installed: licences and advisories are not checked");
    }
    Ok(ExitCode::SUCCESS)
}
