//! The binary that containerd calls; see [`micrun::shim`].

use std::process::ExitCode;

fn main() -> ExitCode {
    micrun::shim::main()
}
