//! Messages between the two processes of a board, whichever half of the rings this one is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use openamp::Violation;
use openamp::rpmsg::{EndpointId, Host, Incoming, Name, PAYLOAD_LEN, Remote, SendError};
use shmem::Window;

use crate::bell::Bell;
use crate::board::{Board, DA};

/// The service of the rigs. `rigs/c/peer.c` has the same name.
pub const SERVICE: &str = "rpmsg-rig";
/// Longest wait while polling.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at the ring between two looks at the clock.
const LOOKS: u32 = 1 << 16;

/// One half of a link with one endpoint bound.
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum Half<'b> {
    /// The driver's.
    Host(Host, EndpointId, Window<'b>),
    /// The device's.
    Remote(Remote, EndpointId, Window<'b>),
}

impl<'b> Half<'b> {
    /// Initialises the rings, waits for the remote's announcement and activates the endpoint.
    pub fn host(board: &'b Board, bell: Option<&Bell>) -> Result<Half<'b>> {
        let memory = board.window()?;
        let mut host = Host::new(&memory, board.placement()?)?;
        board.announce_rings()?;
        let mut payload = [0; PAYLOAD_LEN];
        let incoming = patiently(bell, || Ok(host.receive(&memory, &mut payload)?))?;
        let Incoming::Announced { name, addr } = incoming else { bail!("{incoming:?} is no announcement") };
        ensure!(name.as_str() == SERVICE, "service {name} was announced");
        let endpoint = host.bind(name, addr)?;
        host.send(&memory, endpoint, &[])?;
        if let Some(bell) = bell {
            bell.ring()?;
        }
        Ok(Half::Host(host, endpoint, memory))
    }

    /// Waits for the host's rings, announces the endpoint and waits until it is activated.
    pub fn remote(board: &'b Board, bell: Option<&Bell>) -> Result<Half<'b>> {
        let rings = board.await_rings()?;
        let memory = board.window()?;
        let mut remote = Remote::new(&memory, DA, rings)?;
        let endpoint = remote.announce(&memory, Name::new(SERVICE)?)?;
        if let Some(bell) = bell {
            bell.ring()?;
        }
        let received = patiently(bell, || Ok(remote.receive(&memory, &mut [0; PAYLOAD_LEN])?))?;
        ensure!(received.endpoint == endpoint && received.len == 0, "{received:?} is no activation");
        Ok(Half::Remote(remote, endpoint, memory))
    }

    #[inline]
    fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        match self {
            Half::Host(host, endpoint, memory) => host.send(memory, *endpoint, payload),
            Half::Remote(remote, endpoint, memory) => remote.send(memory, *endpoint, payload),
        }
    }

    #[inline]
    fn receive(&mut self, payload: &mut [u8; PAYLOAD_LEN]) -> Result<Option<usize>> {
        match self {
            Half::Host(host, _, memory) => match host.receive(memory, payload)? {
                Some(Incoming::Message { len, .. }) => Ok(Some(len)),
                Some(other) => bail!("{other:?} instead of a message"),
                None => Ok(None),
            },
            Half::Remote(remote, _, memory) => {
                Ok(remote.receive(memory, payload)?.map(|received| received.len))
            }
        }
    }

    fn wants_kick(&mut self) -> Result<bool, Violation> {
        match self {
            Half::Host(host, _, memory) => host.wants_kick(memory),
            Half::Remote(remote, _, memory) => remote.wants_kick(memory),
        }
    }

    fn want_room(&mut self, wanted: bool) -> Result<(), Violation> {
        match self {
            Half::Host(host, _, memory) => host.want_room(memory, wanted),
            Half::Remote(remote, _, memory) => remote.want_room(memory, wanted),
        }
    }
}

/// A half that waits: at its bell, or polling if it has none.
pub struct Line<'b> {
    half: Half<'b>,
    bell: Option<Bell>,
}

impl<'b> Line<'b> {
    /// The host's.
    pub fn host(board: &'b Board, bell: Option<Bell>) -> Result<Line<'b>> {
        Ok(Line { half: Half::host(board, bell.as_ref())?, bell })
    }

    /// The remote's.
    pub fn remote(board: &'b Board, bell: Option<Bell>) -> Result<Line<'b>> {
        Ok(Line { half: Half::remote(board, bell.as_ref())?, bell })
    }

    /// Sends one message; waits for room if there is none.
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> Result<()> {
        match self.half.send(payload) {
            Err(SendError::Full) => self.send_when_there_is_room(payload)?,
            other => other?,
        }
        self.kick()
    }

    fn send_when_there_is_room(&mut self, payload: &[u8]) -> Result<()> {
        let Line { half, bell } = self;
        half.want_room(bell.is_some())?;
        patiently(bell.as_ref(), || match half.send(payload) {
            Err(SendError::Full) => Ok(None),
            other => Ok(Some(other?)),
        })?;
        Ok(half.want_room(false)?)
    }

    /// Waits for one message; its payload is the first bytes of `payload`, as many as it gives.
    #[inline]
    pub fn receive(&mut self, payload: &mut [u8; PAYLOAD_LEN]) -> Result<usize> {
        let Line { half, bell } = self;
        let len = patiently(bell.as_ref(), || half.receive(payload))?;
        self.kick()?;
        Ok(len)
    }

    #[inline]
    fn kick(&mut self) -> Result<()> {
        match &self.bell {
            Some(bell) if self.half.wants_kick()? => bell.ring(),
            _ => Ok(()),
        }
    }

    /// Waits for what is not a message: the remote took its endpoint back.
    pub fn await_withdrawal(&mut self) -> Result<()> {
        let Line { half: Half::Host(host, endpoint, memory), bell } = self else {
            bail!("a remote hears of no withdrawals")
        };
        let mut payload = [0; PAYLOAD_LEN];
        let incoming = patiently(bell.as_ref(), || Ok(host.receive(memory, &mut payload)?))?;
        ensure!(incoming == Incoming::Withdrawn(*endpoint), "{incoming:?} is no withdrawal");
        Ok(())
    }
}

/// Tries until there is something, with a deadline.
#[inline]
fn patiently<T>(bell: Option<&Bell>, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    if let Some(bell) = bell {
        loop {
            match attempt()? {
                Some(found) => return Ok(found),
                None => bell.wait()?,
            }
        }
    }
    let mut begun = None;
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = attempt()? {
                return Ok(found);
            }
            std::hint::spin_loop();
        }
        let begun = *begun.get_or_insert_with(Instant::now);
        (begun.elapsed() < PATIENCE).then_some(()).context("nothing came of polling in 10 s")?;
    }
}
