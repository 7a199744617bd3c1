//! What can go wrong with a core of Linux's remoteproc.

use std::io;

/// Why Linux's remoteproc does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum RemoteprocError {
    /// There is no such core, or more than one.
    #[error("remote processor {wanted}: {trouble}; this system has {there}")]
    Core {
        /// What was asked for.
        wanted: String,
        /// What is wrong with that.
        trouble: &'static str,
        /// All cores, by directory and name.
        there: String,
    },
    /// The core is not free.
    #[error("{core} is {state}, and was not started by micrun: stop it where it was started")]
    InUse {
        /// The core.
        core: String,
        /// What Linux says of it.
        state: String,
    },
    /// Not a file that Linux loads.
    #[error("not firmware that linux loads on a remote processor: {0}")]
    File(&'static str),
    /// The firmware can be put nowhere.
    #[error(
        "{path}: {source}; linux loads firmware from there, or from the directory in \
         /sys/module/firmware_class/parameters/path"
    )]
    Store {
        /// Where it was to be.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// An attribute cannot be read.
    #[error("{core}: reading {attribute}: {source}")]
    Read {
        /// The core.
        core: String,
        /// The attribute.
        attribute: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Linux does not do what was asked for.
    #[error("{core}, {state}: writing {word:?} to {attribute}: {source}{log}")]
    Write {
        /// The core.
        core: String,
        /// Its state before.
        state: String,
        /// What was written.
        word: String,
        /// The attribute.
        attribute: &'static str,
        /// What the system said.
        source: io::Error,
        /// What the kernel's log says.
        log: String,
    },
    /// Linux says that it has done it, and has not.
    #[error("{core} is {state} after {word}, which linux says it has done: {remedy}")]
    Stuck {
        /// The core.
        core: String,
        /// What was written.
        word: &'static str,
        /// Its state after that.
        state: String,
        /// What helps.
        remedy: &'static str,
    },
}

impl RemoteprocError {
    /// True if another annotation or image would be right.
    pub fn is_the_callers(&self) -> bool {
        matches!(self, RemoteprocError::Core { .. } | RemoteprocError::File(_))
    }

    /// True if the core is not free.
    pub fn is_in_use(&self) -> bool {
        matches!(self, RemoteprocError::InUse { .. })
    }
}
