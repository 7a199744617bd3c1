//! The ways containerd calls the binary (runtime v2 contract): `start`, `delete`, and the server that `start` makes.

mod address;
mod args;
mod delegate;
mod delete;
mod logger;
mod oci_runtime;
mod read;
mod run;
mod start;
mod terminate;

use std::io::{self, Write};
use std::process::ExitCode;

use args::{Action, Args, USAGE};

use crate::service::runtime_info;

/// What a call of the binary can fail with: one line, which becomes the text that users of containerd see.
type Failure = String;

/// containerd's name for this runtime.
const RUNTIME: &str = "io.containerd.mica.v2";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, if whoever built this has named it.
const REVISION: &str = match option_env!("MICRUN_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let result = Args::parse(std::env::args().skip(1)).and_then(|args| match args.action {
        Action::Start => start::start(&args),
        Action::Serve => run::run(&args),
        Action::Delete => delete::delete(&args),
        Action::Version => say(version().as_bytes()),
        Action::Info => say(&runtime_info(RUNTIME, VERSION, REVISION)),
        Action::Help => say(USAGE.as_bytes()),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Without a line end: containerd goes on in the same line with its own words.
            eprint!("containerd-shim-mica-v2: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn version() -> String {
    let rustc = env!("MICRUN_RUSTC_VERSION");
    format!("containerd-shim-mica-v2:\n  Version:  {VERSION}\n  Revision: {REVISION}\n  Rust:     {rustc}\n")
}

/// Prints what is the answer, all of it.
fn say(answer: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    stdout.write_all(answer).and_then(|()| stdout.flush()).map_err(|error| format!("stdout: {error}"))
}
