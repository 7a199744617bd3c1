//! The RPMsg link: `rpmsg-tty`, `rpmsg-rpc` and `rpmsg-umt` over the two rings of the communication region.

use openamp::Violation;
use openamp::resource_table::Layout;
use openamp::rpmsg::{ADDR_ANY, AnnounceError, EndpointId, Name, PAYLOAD_LEN, Remote, SendError};
use openamp::state::SYSTEM_RESET;
use shmem::{Fault, Window};
use test_rtos::bulk::Bulk;
use test_rtos::resource_table;
use test_rtos::rpc::Calls;
use test_rtos::shell::{Input, Output};

use super::{gic, table};

/// The communication region, the same addresses on every pedestal.
pub const REGION: usize = 0x7000_0000;
pub const REGION_LEN: usize = 0x10_0000;
const TTY: &str = "rpmsg-tty";
const RPC: &str = "rpmsg-rpc";
const UMT: &str = "rpmsg-umt";
/// From the communication region on: where a host may have a window for bulk transfer.
const BULK_LEN: usize = 0x200_0000;
/// Messages after which the host is kicked although more are coming: half a ring, so that both sides work at once.
const BATCH: u32 = resource_table::BUFFERS / 2;

/// The host broke the protocol: nothing it wrote can be relied on any more.
pub struct Broken;

impl From<Violation> for Broken {
    fn from(_: Violation) -> Broken {
        Broken
    }
}

impl From<Fault> for Broken {
    fn from(_: Fault) -> Broken {
        Broken
    }
}

/// One side of the link.
pub struct Link {
    memory: Window<'static>,
    remote: Option<Remote>,
    /// The host has asked for a new beginning, and has not said yet that its rings are ready.
    between_hosts: bool,
    tty: Option<EndpointId>,
    rpc: Option<EndpointId>,
    umt: Option<EndpointId>,
    /// The transmit ring was full, and the host is to say when it is not.
    starved: bool,
    /// Messages sent since the last kick.
    unkicked: u32,
}

impl Link {
    /// A link to a host that has made no rings yet.
    pub const fn new() -> Link {
        Link {
            memory: communication(),
            remote: None,
            between_hosts: false,
            tty: None,
            rpc: None,
            umt: None,
            starved: false,
            unkicked: 0,
        }
    }

    /// Sends `output`, the request of `calls` and the descriptor of `bulk`, and fills `input` and what those wait for, as
    /// far as either is possible now. Kicks the host only for a whole batch; [`Self::kick`] before sleeping.
    ///
    /// True if the shell has something to do: there is new input, room for output, or the host listens.
    pub fn poll(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        calls: &mut Calls,
        bulk: &mut SharedBulk,
    ) -> Result<bool, Broken> {
        if table::state() == SYSTEM_RESET {
            self.begin_anew()?;
        }
        self.open()?;
        if self.between_hosts {
            return Ok(false);
        }
        let (Some(remote), Some(tty), Some(rpc), Some(umt)) =
            (&mut self.remote, self.tty, self.rpc, self.umt)
        else {
            return Ok(false);
        };
        let mut news = false;
        let mut payload = [0; PAYLOAD_LEN];
        // An answer lies behind what was typed before it, so that is taken, whether or not there is room for it.
        while input.room() >= PAYLOAD_LEN || calls.waiting() || bulk.waiting {
            let Some(received) = remote.receive(&self.memory, &mut payload)? else { break };
            let message = payload.get(..received.len).unwrap_or_default();
            if received.endpoint == rpc {
                calls.hear(message);
            } else if received.endpoint == umt {
                bulk.hear(message);
            } else {
                input.extend(message);
            }
            news = true;
        }
        // Before the host's first message nobody knows where to send to.
        let [tty_known, rpc_known, umt_known] =
            [tty, rpc, umt].map(|id| remote.endpoint(id).is_some_and(|endpoint| endpoint.remote != ADDR_ANY));
        calls.served = rpc_known;
        let to_send = [
            (tty_known, tty, output),
            (rpc_known, rpc, &mut calls.request),
            (umt_known, umt, &mut bulk.descriptor),
        ];
        for (known, from, message) in to_send {
            if known
                && !message.is_empty()
                && send(remote, &self.memory, from, message.as_slice(), &mut self.starved)?
            {
                message.clear();
                news = true;
                self.unkicked += 1;
            }
        }
        if self.unkicked >= BATCH {
            self.kick()?;
        }
        Ok(news)
    }

    /// Sends a last line if there is a listener and room for it.
    pub fn print_last(&mut self, line: &[u8]) {
        if let Some((remote, tty)) = self.remote.as_mut().zip(self.tty) {
            // Whatever is wrong with the link, the fault is what matters now.
            let _ = remote.send(&self.memory, tty, line);
        }
    }

    /// Begins anew with the rings, as another host wants. It knows of the endpoints if they are kept in the table; else
    /// they are forgotten, and it hears of them again.
    fn begin_anew(&mut self) -> Result<(), Broken> {
        match &mut self.remote {
            Some(remote) if resource_table::KEEPS_ENDPOINTS => {
                remote.reset(&self.memory)?;
                self.between_hosts = true;
            }
            _ => (self.remote, self.tty, self.rpc, self.umt) = (None, None, None, None),
        }
        (self.starved, self.unkicked) = (false, 0);
        Ok(table::announce_reset()?)
    }

    /// Attaches to the rings once the host has made them, and announces the endpoints. The console comes last, so that
    /// calls are served when somebody types.
    fn open(&mut self) -> Result<(), Broken> {
        if self.between_hosts {
            self.between_hosts = !host_is_ready()?;
        }
        if self.tty.is_some() {
            return Ok(());
        }
        if self.remote.is_none() {
            self.remote = attach(&self.memory)?;
        }
        let Some(remote) = &mut self.remote else { return Ok(()) };
        for (name, endpoint) in [(RPC, &mut self.rpc), (UMT, &mut self.umt), (TTY, &mut self.tty)] {
            if endpoint.is_none() {
                *endpoint = announce(remote, &self.memory, name, &mut self.starved)?;
            }
        }
        Ok(())
    }

    /// Kicks the host if it wants to hear of what was sent or consumed since the last time.
    pub fn kick(&mut self) -> Result<(), Broken> {
        self.unkicked = 0;
        if !self.between_hosts
            && let Some(remote) = &mut self.remote
            && remote.wants_kick(&self.memory)?
        {
            gic::kick_host();
        }
        Ok(())
    }
}

/// The communication region.
pub const fn communication() -> Window<'static> {
    // SAFETY: the region is memory on every pedestal, identity mapped, and reached through windows only.
    unsafe { Window::from_raw(REGION as *mut u8, REGION_LEN) }
}

/// Bulk data, anywhere in shared memory.
pub type SharedBulk = Bulk<Window<'static>>;

/// Nothing but the window that a host tells of is touched.
pub const fn bulk() -> SharedBulk {
    // SAFETY: the host's window is memory on every pedestal that tells of one, identity mapped, and reached through
    // windows only.
    let memory = unsafe { Window::from_raw(REGION as *mut u8, BULK_LEN) };
    Bulk::new(memory, REGION as u64)
}

/// Whether the host's status says that the rings may be used.
fn host_is_ready() -> Result<bool, Broken> {
    Ok(layout()?.driver_ready(&table::window())?)
}

/// The remote end, as soon as they may.
fn attach(memory: &Window<'static>) -> Result<Option<Remote>, Broken> {
    if !host_is_ready()? {
        return Ok(None);
    }
    let rings = layout()?.read_rings(&table::window(), REGION as u32, REGION_LEN)?;
    Ok(Some(Remote::new(memory, REGION as u32, rings)?))
}

fn layout() -> Result<Layout, Broken> {
    resource_table::layout().map_err(|_| Broken)
}

/// Announces an endpoint; `None` if there is no room.
fn announce(
    remote: &mut Remote,
    memory: &Window<'static>,
    name: &str,
    starved: &mut bool,
) -> Result<Option<EndpointId>, Broken> {
    let name = Name::new(name).map_err(|_| Broken)?;
    match remote.announce(memory, name) {
        Ok(endpoint) => Ok(Some(endpoint)),
        // The host offers buffers before it sets its status; should it not have, its next kick brings us back.
        Err(AnnounceError::Send(SendError::Full)) => {
            *starved = true;
            remote.want_room(memory, true)?;
            Ok(None)
        }
        Err(_) => Err(Broken),
    }
}

/// Sends one message; false if the ring is full, in which case the host will kick when it is not.
fn send(
    remote: &mut Remote,
    memory: &Window<'static>,
    from: EndpointId,
    payload: &[u8],
    starved: &mut bool,
) -> Result<bool, Broken> {
    loop {
        match remote.send(memory, from, payload) {
            Ok(()) if *starved => {
                *starved = false;
                remote.want_room(memory, false)?;
                return Ok(true);
            }
            Ok(()) => return Ok(true),
            Err(SendError::Full) if *starved => return Ok(false),
            Err(SendError::Full) => {
                *starved = true;
                // A buffer may have come just before the host was asked, hence the second attempt.
                remote.want_room(memory, true)?;
            }
            Err(_) => return Err(Broken),
        }
    }
}
