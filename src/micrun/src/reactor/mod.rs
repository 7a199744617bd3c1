//! The one thread that owns rings, consoles and timers of all running containers.
//!
//! Requests come as commands; everything else is a descriptor that becomes ready or a deadline that passes. Any
//! of them gives the [`Session`] it belongs to a turn, in which it does all that can be done without waiting. Streams
//! are watched edge-triggered, so there is no "interested in" state to keep. An idle reactor sleeps without a timer.

mod drain;
mod patience;
mod session;
mod status;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub use session::{Ended, OnEnd, Session};

use crate::queue::{Receiver, Sender, channel};
use crate::sys;
use crate::vec_map::VecMap;

/// Names one running container to the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Token of the command queue; sessions count from 1.
const COMMANDS: u64 = 0;
/// Set in a session's token for the descriptors that tell of the machine's end.
const END: u64 = 1 << 63;
/// Set in a session's token for the machine's doorbell.
const BELL: u64 = 1 << 61;
/// Set in the token of a descriptor that belongs to no session; the rest is its number.
const WATCHED: u64 = 1 << 62;
/// Events taken from the kernel at once.
const BATCH: usize = 16;

enum Command {
    Attach(SessionId, Box<Session>),
    PowerOff(SessionId),
    CutPower(SessionId),
    CloseInput(SessionId),
    Wake(SessionId),
    Watch(OwnedFd, OnReady),
    /// Forget the session; answered by dropping the sender when its streams are closed.
    Close(SessionId, Sender<()>),
}

/// Called once, from the reactor's thread; must not block.
pub type OnReady = Box<dyn FnOnce() + Send>;

/// Gives a session a turn, from any thread.
#[derive(Clone)]
pub struct Waker {
    reactor: Reactor,
    id: SessionId,
}

impl Waker {
    /// The session looks for what there is to do.
    pub fn wake(&self) {
        self.reactor.send(Command::Wake(self.id));
    }
}

/// Sends commands to the reactor.
#[derive(Clone)]
pub struct Reactor {
    commands: Sender<Command>,
    bell: Arc<EventFd>,
    next: Arc<AtomicU64>,
}

impl Reactor {
    /// Starts the thread.
    pub fn start() -> io::Result<Reactor> {
        let (commands, queue) = channel();
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, COMMANDS))?;
        let running = Loop {
            epoll,
            queue,
            bell: bell.clone(),
            sessions: VecMap::default(),
            watched: VecMap::default(),
        };
        sys::spawn("reactor", move || running.run())?;
        Ok(Reactor { commands, bell, next: Arc::new(AtomicU64::new(COMMANDS + 1)) })
    }

    /// Takes over a running core and its console.
    pub fn attach(&self, mut session: Session) -> SessionId {
        let id = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        session.wake_by(Waker { reactor: self.clone(), id });
        self.send(Command::Attach(id, Box::new(session)));
        id
    }

    /// Asks the firmware to power itself off.
    pub fn power_off(&self, id: SessionId) {
        self.send(Command::PowerOff(id));
    }

    /// Ends the core at once.
    pub fn cut_power(&self, id: SessionId) {
        self.send(Command::CutPower(id));
    }

    /// No more input will come.
    pub fn close_input(&self, id: SessionId) {
        self.send(Command::CloseInput(id));
    }

    /// Calls `on_ready` when `descriptor` becomes readable.
    pub fn watch(&self, descriptor: OwnedFd, on_ready: OnReady) {
        self.send(Command::Watch(descriptor, on_ready));
    }

    /// Forgets an ended session and waits until its streams are closed, at most `deadline`.
    pub fn close(&self, id: SessionId, deadline: Duration) {
        let (done, closed) = channel();
        self.send(Command::Close(id, done));
        // Nothing is ever sent: the answer is that the sender is dropped.
        let _ = closed.recv_timeout(deadline);
    }

    fn send(&self, command: Command) {
        // The reactor runs until the process ends, and the eventfd takes more rings than anybody can send.
        let _ = self.commands.send(command);
        let _ = self.bell.write(1);
    }
}

struct Loop {
    epoll: Epoll,
    queue: Receiver<Command>,
    bell: Arc<EventFd>,
    sessions: VecMap<u64, Session>,
    /// What else is waited for, by descriptor number.
    watched: VecMap<u64, (OwnedFd, OnReady)>,
}

impl Loop {
    fn run(mut self) {
        let mut events = [EpollEvent::empty(); BATCH];
        loop {
            let timeout = self.timeout(Instant::now());
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => &events[..count],
                Err(Errno::EINTR) => continue,
                Err(errno) => {
                    // Only a closed or foreign descriptor does this: without it nothing can be served any more.
                    log::error!("epoll: {errno}");
                    std::process::abort();
                }
            };
            for token in ready.iter().map(EpollEvent::data) {
                match token {
                    COMMANDS => self.commands(),
                    token if token & WATCHED != 0 => self.ready(token),
                    token => self.wake(token),
                }
            }
            self.turns(Instant::now());
        }
    }

    /// Until the next deadline; for ever if there is none.
    fn timeout(&self, now: Instant) -> EpollTimeout {
        let Some(next) = self.sessions.values().filter_map(|session| session.deadline(now)).min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up: waking before the deadline would be waking for nothing.
        let millis = next.saturating_duration_since(now).as_micros().div_ceil(1000);
        EpollTimeout::try_from(millis.min(60_000) as i32).unwrap_or(EpollTimeout::ZERO)
    }

    fn wake(&mut self, token: u64) {
        let Some(session) = self.sessions.get_mut(token & !(END | BELL)) else { return };
        match token & (END | BELL) {
            END => session.wake_for_end(),
            BELL => session.wake_for_bell(),
            _ => session.wake(),
        }
    }

    fn ready(&mut self, token: u64) {
        if let Some((descriptor, on_ready)) = self.watched.remove(token) {
            // Closed before anybody acts on it, so that its number is free again.
            drop(descriptor);
            on_ready();
        }
    }

    fn watch_descriptor(&mut self, descriptor: OwnedFd, on_ready: OnReady) {
        let token = WATCHED | descriptor.as_raw_fd() as u64;
        match self.epoll.add(&descriptor, EpollEvent::new(EpollFlags::EPOLLIN, token)) {
            Ok(()) => drop(self.watched.insert(token, (descriptor, on_ready))),
            Err(errno) => log::error!("epoll: {errno}; an end will not be noticed"),
        }
    }

    /// Gives a turn to every session that was woken or whose deadline has passed.
    fn turns(&mut self, now: Instant) {
        self.sessions.retain(|session| !session.due(now) || session.turn(now));
    }

    fn commands(&mut self) {
        // Fails only if it has not rung.
        let _ = self.bell.read();
        while let Ok(command) = self.queue.try_recv() {
            match command {
                Command::Attach(id, session) => self.attach(id, *session),
                Command::PowerOff(id) => self.with(id, Session::power_off),
                Command::CutPower(id) => self.with(id, Session::cut_power),
                Command::Wake(id) => self.with(id, |_| {}),
                Command::Watch(descriptor, on_ready) => self.watch_descriptor(descriptor, on_ready),
                Command::CloseInput(id) => self.with(id, Session::close_input),
                Command::Close(id, done) => self.with(id, |session| session.close(done)),
            }
        }
    }

    fn with(&mut self, id: SessionId, action: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.get_mut(id.0) {
            action(session);
            session.wake();
        }
    }

    fn attach(&mut self, id: SessionId, mut session: Session) {
        if let Err(errno) = self.watch(id, &session) {
            // Out of kernel memory or of watches: what is not watched cannot be served, not even to its end.
            log::error!("epoll: {errno}");
            return session.give_up();
        }
        // Beginning to watch a doorbell may have silenced it.
        session.wake_for_bell();
        self.sessions.insert(id.0, session);
    }

    fn watch(&self, id: SessionId, session: &Session) -> nix::Result<()> {
        let (readable, writable) = (EpollFlags::EPOLLIN, EpollFlags::EPOLLOUT);
        let watched = [
            (session.doorbell(), readable, id.0 | BELL),
            (session.end(), readable, id.0 | END),
            (session.news(), readable, id.0 | END),
            (session.input(), readable, id.0),
            (session.output(), writable, id.0),
            (session.doors(), readable, id.0),
        ];
        for (descriptor, flags, token) in watched {
            if let Some(descriptor) = descriptor {
                self.epoll.add(descriptor, EpollEvent::new(flags | EpollFlags::EPOLLET, token))?;
            }
        }
        Ok(())
    }
}
