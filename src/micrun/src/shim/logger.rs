//! The log: containerd's text format into the FIFO `log` in the bundle, which containerd reads.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};

use super::args::Args;
use firmware::date::rfc3339;

const FIFO: &str = "log";

/// Starts logging. Without the FIFO there is no log: it is no reason not to serve.
pub(super) fn start(args: &Args) {
    // Both ends: a reader that is not there, or goes away with containerd, must neither block nor end us.
    let fifo = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(FIFO);
    let Ok(fifo) = fifo else { return };
    let (id, namespace) = (args.id.clone(), args.namespace.clone());
    let format = move |line: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        let level = level(record.level());
        let message = record.args().to_string();
        writeln!(line, "time=\"{}\" level={level} msg={message:?} id={id} namespace={namespace}", now())
    };
    Builder::new()
        .filter_level(LevelFilter::Warn.min(args.level))
        .filter_module("micrun", args.level)
        .format(format)
        .target(Target::Pipe(Box::new(fifo)))
        .init();
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The time in RFC 3339, UTC, with nanoseconds.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}Z", rfc3339(since.as_secs()), since.subsec_nanos())
}
