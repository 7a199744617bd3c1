//! Which endpoint of the remote is which service.

use log::Level;
use openamp::rpmsg::{EndpointId, Host, Name};
use shmem::Fault;

use super::door::Doors;
use super::rpc::{self, RpcService};
use super::tty::{self, SideTty};
use super::umt::{self, Umt};
use crate::console::Console;
use crate::pedestal::baremetal::Piece;
use crate::reactor::Waker;
use crate::rpc::{GREETING, SharedFiles};

/// Endpoints that are worth a line in the log when they come or go.
const TOLD: u32 = 16;
/// Terminals beside the console.
const SIDE_TTYS: usize = 8;

/// What is bound, and what is needed to bind more.
pub(super) struct Services {
    /// The console's endpoint.
    pub(super) console: Option<EndpointId>,
    pub(super) side_ttys: Vec<SideTty>,
    pub(super) rpc: Option<RpcService>,
    /// Where there is a window for bulk transfer.
    pub(super) umt: Option<Umt>,
    /// All that are bound.
    names: Vec<(EndpointId, Name)>,
    /// First messages that are still to be sent: from them the remote learns our addresses.
    pub(super) greetings: Vec<(EndpointId, Vec<u8>)>,
    pub(super) doors: Option<Doors>,
    pub(super) waker: Option<Waker>,
    files: SharedFiles,
    /// Lines that the log has of endpoints.
    told: u32,
}

impl Services {
    pub(super) fn new(files: SharedFiles, doors: Option<Doors>, bulk: Option<Piece>) -> Services {
        Services {
            console: None,
            side_ttys: Vec::new(),
            rpc: None,
            umt: bulk.map(Umt::new),
            names: Vec::new(),
            greetings: Vec::new(),
            doors,
            waker: None,
            files,
            told: 0,
        }
    }

    /// The remote has a new endpoint.
    pub(super) fn announced(&mut self, host: &mut Host, name: Name, addr: u32) -> Result<(), Fault> {
        let level = self.level();
        if !self.serves(&name) {
            log::log!(level, "endpoint {name} at {addr:#x} has no service");
            return Ok(());
        }
        let endpoint = match host.bind(name, addr) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                log::log!(level, "{error}");
                return Ok(());
            }
        };
        log::log!(level, "endpoint {name} at {addr:#x}");
        self.bind(endpoint, name, level)
    }

    /// The remote has an endpoint that an earlier host has bound, and may not know our address of it.
    pub(super) fn kept(&mut self, endpoint: EndpointId, name: Name) -> Result<(), Fault> {
        let level = self.level();
        if !self.serves(&name) {
            return Ok(());
        }
        log::log!(level, "endpoint {name} is there already");
        self.bind(endpoint, name, level)
    }

    fn bind(&mut self, endpoint: EndpointId, name: Name, level: Level) -> Result<(), Fault> {
        let greeting = self.serve(endpoint, &name, level)?;
        self.names.push((endpoint, name));
        self.greetings.push((endpoint, greeting));
        Ok(())
    }

    /// The remote, and so the host, has an endpoint less.
    pub(super) fn withdrawn(&mut self, endpoint: EndpointId) {
        let level = self.level();
        for (_, name) in self.names.extract_if(.., |(bound, _)| *bound == endpoint) {
            log::log!(level, "endpoint {name} is gone");
        }
        self.console = self.console.filter(|console| *console != endpoint);
        if let Some(rpc) = self.rpc.as_mut().filter(|rpc| rpc.endpoint == Some(endpoint)) {
            rpc.endpoint = None;
        }
        if let Some(umt) = self.umt.as_mut().filter(|umt| umt.endpoint == Some(endpoint)) {
            umt.endpoint = None;
        }
        self.side_ttys.retain(|tty| tty.endpoint != endpoint);
        self.greetings.retain(|(from, _)| *from != endpoint);
    }

    /// Passes a message on.
    pub(super) fn message(
        &mut self,
        endpoint: EndpointId,
        payload: &[u8],
        console: &mut Console,
    ) -> Result<(), Fault> {
        if self.console == Some(endpoint) {
            super::print(console, payload);
        } else if let Some(rpc) = self.rpc.as_mut().filter(|rpc| rpc.endpoint == Some(endpoint)) {
            rpc.ask(payload);
        } else if let Some(tty) = self.side_ttys.iter_mut().find(|tty| tty.endpoint == endpoint) {
            tty.door.write(payload);
        } else if let Some(umt) = self.umt.as_mut().filter(|umt| umt.endpoint == Some(endpoint)) {
            umt.hear(payload)?;
        } else {
            log::debug!("dropped {} bytes for {endpoint:?}", payload.len());
        }
        Ok(())
    }

    fn serves(&self, name: &Name) -> bool {
        let tty = self.console.is_none() || self.side_ttys.len() < SIDE_TTYS && self.doors.is_some();
        let rpc = self.rpc.as_ref().is_none_or(|rpc| rpc.endpoint.is_none());
        let umt = self.umt.as_ref().is_none_or(|umt| umt.endpoint.is_none());
        tty::is_tty(name) && tty || rpc::is_rpc(name) && rpc || umt::is_umt(name) && umt
    }

    /// Has an endpoint served that [`Self::serves`]; gives its first message.
    fn serve(&mut self, endpoint: EndpointId, name: &Name, level: Level) -> Result<Vec<u8>, Fault> {
        if rpc::is_rpc(name) {
            if self.rpc.is_none() {
                self.rpc = RpcService::start(self.files.clone(), self.waker.clone());
            }
            self.rpc.iter_mut().for_each(|rpc| rpc.endpoint = Some(endpoint));
            return Ok(GREETING.to_vec());
        }
        if umt::is_umt(name) {
            if let Some(umt) = &mut self.umt {
                return umt.serve(endpoint, self.doors.as_ref()).map(|greeting| greeting.to_vec());
            }
            log::log!(level, "{name}: this board has no window for bulk transfer");
            return Ok(umt::NO_WINDOW.to_vec());
        }
        if self.console.is_none() {
            self.console = Some(endpoint);
        } else if let Some(doors) = &self.doors {
            let socket = format!("{name}.sock");
            match doors.open(&socket) {
                Ok(door) => self.side_ttys.push(SideTty { endpoint, door }),
                Err(error) => log::log!(level, "{socket}: {error}"),
            }
        }
        // An empty message, so that nobody reads a byte.
        Ok(Vec::new())
    }

    /// A remote may announce as often as it likes; the log tells of the first times.
    fn level(&mut self) -> Level {
        self.told = self.told.saturating_add(1);
        if self.told <= TOLD { Level::Info } else { Level::Debug }
    }
}
