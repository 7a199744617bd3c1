//! The `rpmsg-rpc` service: file and print calls of the RTOS, carried out in the container's root file system.
//!
//! The calls and their bytes are MICA's (`rpc_server` of micad, MICA ABI section 4.7). Upstream serves them as root, on
//! any path, and runs programs too; here the RTOS sees what the container sees. Paths are resolved inside its root file
//! system and mounts (`root.rs`), files are plain files, handles are numbers of ours, text printed to the standard streams
//! goes to the container's console, and calls that would reach the network or start a program are refused.
//!
//! A call may block as its file system may, so it is not for the reactor's thread.

mod calls;
mod files;
mod flags;
mod mounts;
mod root;
mod stdio;
mod tree;
mod wire;

use std::io;
use std::sync::mpsc::Receiver;

use openamp::rpmsg::PAYLOAD_LEN;

use files::Files;
pub use mounts::{SharedFiles, Volume};
use wire::{Header, Reply, Request};

/// What the host says first: the RTOS learns the host's address from it.
pub const GREETING: &[u8; 32] = b"first message from rpc_service!\0";

/// What came of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, if the call has one.
    pub reply: Option<Vec<u8>>,
    /// What is to be printed on the console.
    pub printed: Vec<u8>,
}

/// Carries out calls until there will be no more; one outcome each, in order. The calling thread must be made for this: it
/// gets mounts of its own.
pub fn work(files: &SharedFiles, calls: &Receiver<Vec<u8>>, told: impl Fn(Outcome)) {
    let mut rpc = Rpc::open(files);
    if let Err(error) = &rpc {
        log::error!("the rtos has no files: {}: {error}", files.root.display());
    }
    for message in calls {
        // An RTOS without files waits for its answers, as if they had been lost.
        told(rpc.as_mut().map(|rpc| rpc.call(&message)).unwrap_or_default());
    }
}

/// The calls of one RTOS.
#[derive(Debug)]
pub struct Rpc {
    files: Files,
}

impl Rpc {
    /// Calls for `files`. If there are volumes, the calling thread gets mounts of its own, for ever.
    ///
    /// # Errors
    /// There is no root file system, or a volume is not as safe as it should be.
    pub fn open(files: &SharedFiles) -> io::Result<Rpc> {
        files.enter().map(|root| Rpc { files: Files::new(root) })
    }

    /// Carries out one message of at most [`PAYLOAD_LEN`] bytes.
    pub fn call(&mut self, message: &[u8]) -> Outcome {
        let request = Request::new(message.get(..PAYLOAD_LEN).unwrap_or(message));
        let Ok(header) = Header::of(&request) else {
            log::debug!("rpc message of {} bytes is too short for a call", message.len());
            return Outcome::default();
        };
        if let Some(print) = calls::print(header.id) {
            // These have no answer, so nobody hears of a failure.
            let printed = print(&mut self.files, &request).unwrap_or_default();
            return Outcome { reply: None, printed };
        }
        let reply = match calls::find(header.id) {
            Some(call) => {
                let result = (call.run)(&mut self.files, &request);
                Reply::of(header, call.reply_id(), result, call.shape)
            }
            None => Reply::unknown(header),
        };
        Outcome { reply: Some(reply.into_bytes()), printed: self.files.take_printed() }
    }
}

#[cfg(test)]
mod tests;
