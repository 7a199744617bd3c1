//! The `rpmsg-rpc` service: file and print calls of the RTOS, carried out in the container's root file system.
//!
//! The calls and their bytes are MICA's (`rpc_server` of micad, MICA ABI section 4.7). Upstream serves them as root, on
//! any path, and runs programs too; here the RTOS sees what the container sees. Paths are resolved inside its root file
//! system and mounts (`root.rs`), files are plain files, handles are numbers of ours, text printed to the standard streams
//! goes to the container's console, and calls that would start a program are refused. Those that reach the network are, too,
//! unless that was asked for; they find the network that a process of the container would have.
//!
//! A call may block as its file system may, so it is not for the reactor's thread.

mod address;
mod calls;
mod files;
mod flags;
mod mounts;
mod names;
mod network;
mod root;
mod sockets;
mod stdio;
mod tree;
mod waiting;
mod wire;

use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::TryRecvError;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use openamp::rpmsg::PAYLOAD_LEN;

use files::Files;
pub use mounts::{SharedFiles, Volume};
pub use network::Network;
use waiting::{Parked, Wait};
use wire::{Header, Reply, Request};

use crate::queue::Receiver;

/// What the host says first: the RTOS learns the host's address from it.
pub const GREETING: &[u8; 32] = b"first message from rpc_service!\0";

/// What came of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, if the call has one.
    pub reply: Option<Vec<u8>>,
    /// What is to be printed on the console.
    pub printed: Vec<u8>,
    /// It was put aside before, which was its outcome then.
    pub late: bool,
}

/// Carries out calls until there will be no more, each of which `bell` tells of; one outcome each, in order, and a late one of
/// those that were put aside. The calling thread must be made for this: it gets mounts and a network of its own.
pub fn work(files: &SharedFiles, calls: &Receiver<Vec<u8>>, bell: &EventFd, told: impl Fn(Outcome)) {
    let mut rpc = Rpc::open(files);
    if let Err(error) = &rpc {
        log::error!("the rtos has no files: {}: {error}", files.root.display());
    }
    loop {
        let message = match &mut rpc {
            Ok(rpc) if !rpc.parked.is_empty() => {
                // Before it is looked whether there is a message: what comes after that rings again.
                let _ = bell.read();
                match calls.try_recv() {
                    Err(TryRecvError::Empty) => {
                        waiting::sleep(&rpc.parked, &rpc.files, bell.as_fd());
                        rpc.go_on().into_iter().for_each(&told);
                        continue;
                    }
                    message => message.ok(),
                }
            }
            _ => calls.recv().ok(),
        };
        let Some(message) = message else { return };
        // An RTOS without files waits for its answers, as if they had been lost.
        told(rpc.as_mut().map(|rpc| rpc.call(&message)).unwrap_or_default());
    }
}

/// The calls of one RTOS.
#[derive(Debug)]
pub struct Rpc {
    files: Files,
    parked: Vec<Parked>,
}

impl Rpc {
    /// Calls for `files`. If there are volumes, the calling thread gets mounts of its own, for ever; and the network that is
    /// asked for.
    ///
    /// # Errors
    /// There is no root file system, or a volume is not as safe as it should be.
    pub fn open(files: &SharedFiles) -> io::Result<Rpc> {
        let entered = files.network.enter();
        if let Err(error) = &entered {
            log::error!("the rtos has no network: {:?}: {error}", files.network);
        }
        let network = entered.is_ok() && files.network != Network::Off;
        files.enter().map(|root| Rpc { files: Files::new(root, network), parked: Vec::new() })
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
            return Outcome { printed, ..Outcome::default() };
        }
        match self.carry_out(header, &request, true) {
            Ok(outcome) => outcome,
            Err(wait) => {
                self.parked.push(Parked { message: message.to_vec(), wait });
                Outcome::default()
            }
        }
    }

    /// Tries again what was put aside; what is over now.
    pub fn go_on(&mut self) -> Vec<Outcome> {
        let mut over = Vec::new();
        let now = Instant::now();
        for Parked { message, wait } in std::mem::take(&mut self.parked) {
            let request = Request::new(&message);
            let Ok(header) = Header::of(&request) else { continue };
            let patient = wait.deadline.is_none_or(|deadline| now < deadline);
            match self.carry_out(header, &request, patient) {
                Ok(outcome) => over.push(Outcome { late: true, ..outcome }),
                // Its time began when it was put aside.
                Err(_) => self.parked.push(Parked { message, wait }),
            }
        }
        over
    }

    /// Carries out a call that has an answer, or says what it waits for.
    fn carry_out(&mut self, header: Header, request: &Request<'_>, patient: bool) -> Result<Outcome, Wait> {
        let reply = match calls::find(header.id, self.files.network) {
            Some(call) => {
                self.files.patient = patient;
                let mut result = (call.run)(&mut self.files, request);
                if let Some(wait) = self.files.wait.take().filter(|_| result == Err(Errno::EAGAIN)) {
                    if self.parked.len() < waiting::MOST {
                        return Err(wait);
                    }
                    result = Err(Errno::ENOBUFS);
                }
                Reply::of(header, call.reply_id(), result, call.shape)
            }
            None => Reply::unknown(header),
        };
        Ok(Outcome { reply: Some(reply.into_bytes()), printed: self.files.take_printed(), late: false })
    }
}

#[cfg(test)]
mod tests;
