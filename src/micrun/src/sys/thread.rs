//! Threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. What makes one is long, so it is here once and not in the program for each thing that one does.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    boxed(name, Box::new(work))
}

#[inline(never)]
fn boxed(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}
