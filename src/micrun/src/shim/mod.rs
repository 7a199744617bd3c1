//! The ways containerd calls the binary (runtime v2 contract): `start`, `delete`, and the server that `start` makes.

mod address;
mod args;
mod delete;
mod logger;
mod run;
mod start;
mod terminate;

use std::process::ExitCode;

use args::{Action, Args};

/// What a call of the binary can fail with: one line, which becomes the text that users of containerd see.
type Failure = String;

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let result = Args::parse(std::env::args().skip(1)).and_then(|args| match args.action {
        Action::Start => start::start(&args),
        Action::Serve => run::run(&args),
        Action::Delete => delete::delete(&args),
        Action::Version => {
            println!("containerd-shim-mica-v2 {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
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
