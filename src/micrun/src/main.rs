//! The binary that containerd calls, see [`micrun::shim`]; called as `micrun` it answers people, see [`micrun::cli`].

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == micrun::cli::NAME) {
        return micrun::cli::main(words);
    }
    micrun::shim::main()
}
