//! The rpc service's endpoint: calls go to a thread of their own, as a file system may take its time.

use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use openamp::rpmsg::{EndpointId, Name};

use crate::queue::{Receiver, Sender, channel};
use crate::reactor::Waker;
use crate::rpc::{Outcome, SharedFiles, work};
use crate::sys;

/// Calls that are under way at most; the remote's next messages wait in its ring. An RTOS has a call per thread.
const QUEUE: usize = 8;

/// The endpoint and the thread behind it, which ends with this value. There is one thread per remote, however often it
/// withdraws and announces: each has mounts of its own.
#[derive(Debug)]
pub(super) struct RpcService {
    /// None while the remote has withdrawn it. Open files stay.
    pub(super) endpoint: Option<EndpointId>,
    /// Until this value ends.
    requests: Option<Sender<Vec<u8>>>,
    /// Rings for each of them.
    bell: Arc<EventFd>,
    outcomes: Receiver<Outcome>,
    /// Calls without an outcome so far.
    pub(super) under_way: usize,
}

impl RpcService {
    /// Starts the thread; `None` if the system has none.
    pub(super) fn start(files: SharedFiles, waker: Option<Waker>) -> Option<RpcService> {
        let (requests, calls) = channel();
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let bell = Arc::new(bell.inspect_err(|error| log::error!("rpc: {error}")).ok()?);
        let ear = bell.clone();
        let (answers, outcomes) = channel();
        let told = move |outcome| {
            // Nobody listens any more when the container has ended.
            let _ = answers.send(outcome);
            waker.iter().for_each(Waker::wake);
        };
        let spawned = sys::spawn("rpc", move || work(&files, &calls, &ear, told));
        spawned.inspect_err(|error| log::error!("rpc: {error}")).ok()?;
        Some(RpcService { endpoint: None, requests: Some(requests), bell, outcomes, under_way: 0 })
    }

    /// True if no more calls are taken now.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= QUEUE
    }

    pub(super) fn ask(&mut self, message: &[u8]) {
        // The thread ends only with us.
        if self.requests.as_ref().is_some_and(|requests| requests.send(message.to_vec()).is_ok()) {
            self.under_way += 1;
            // Fails only if it has rung and rung.
            let _ = self.bell.write(1);
        }
    }

    /// What came of the next call.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.under_way -= usize::from(!outcome.late);
        Some(outcome)
    }
}

impl Drop for RpcService {
    fn drop(&mut self) {
        // The thread may be waiting for a socket: it is to look, and find that there is nobody any more.
        self.requests = None;
        let _ = self.bell.write(1);
    }
}

pub(super) fn is_rpc(name: &Name) -> bool {
    name.as_str() == "rpmsg-rpc"
}
