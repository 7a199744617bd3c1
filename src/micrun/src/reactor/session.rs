//! One running container: its core, its console, its end.
//!
//! A turn does everything that can be done now. The phases only ever go forward: running, powering off, ending (power
//! is cut, the machine's end is awaited), draining (the last output goes out, the end is told), gone.

use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::channel::{Pumped, Remote};
use crate::console::Console;
use crate::pedestal::{Affinity, Death};
use crate::queue::Sender;
use crate::reactor::Waker;
use crate::settings::Settings;
use openamp::Violation;

use super::drain::Drain;
use super::patience::Patience;
use super::status::{self, Asked};

/// A core whose firmware announced its end is off this soon, or power is cut.
const OFF_DEADLINE: Duration = Duration::from_secs(2);
/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit status, by the conventions of a shell.
    pub status: u32,
    /// When.
    pub at: SystemTime,
}

#[derive(Debug)]
enum Phase {
    Running,
    /// The state word says off, by the firmware's own will or because it was asked to. Power is cut at `until`.
    PoweringOff {
        until: Option<Instant>,
    },
    Ending {
        status: u32,
    },
    Draining(Drain),
    Gone,
}

/// Called once with how a container ended, from the reactor's thread; must not block.
pub type OnEnd = Box<dyn FnOnce(Ended) + Send>;

/// One running container.
pub struct Session {
    remote: Box<dyn Remote>,
    console: Console,
    settings: Settings,
    phase: Phase,
    /// A power-off was asked for.
    asked: Option<Asked>,
    /// When a byte last went either way.
    traffic: Instant,
    /// Power was cut on request: nobody is to wait for the news.
    cut: bool,
    woken: bool,
    /// The machine may have ended since the last turn.
    ended: bool,
    patience: Option<Patience>,
    on_end: Option<OnEnd>,
    /// Whoever waits for the streams to be closed.
    closing: Option<Sender<()>>,
}

impl Session {
    /// A session over a core that runs.
    pub fn new(remote: Box<dyn Remote>, console: Console, settings: Settings, on_end: OnEnd) -> Session {
        Session {
            remote,
            console,
            settings,
            phase: Phase::Running,
            asked: None,
            traffic: Instant::now(),
            cut: false,
            woken: true,
            ended: true,
            patience: None,
            on_end: Some(on_end),
            closing: None,
        }
    }

    pub(super) fn doorbell(&self) -> Option<BorrowedFd<'_>> {
        Some(self.remote.doorbell())
    }

    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.remote.end()
    }

    pub(super) fn news(&self) -> Option<BorrowedFd<'_>> {
        self.remote.news()
    }

    pub(super) fn input(&self) -> Option<BorrowedFd<'_>> {
        self.console.input.as_ref()?.pollable()
    }

    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.console.output.as_ref()?.pollable()
    }

    pub(super) fn doors(&self) -> Option<BorrowedFd<'_>> {
        self.remote.doors()
    }

    pub(super) fn wake_by(&mut self, waker: Waker) {
        self.remote.wake_by(waker);
    }

    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// The doorbell rang.
    pub(super) fn wake_for_bell(&mut self) {
        self.woken = true;
        self.remote.rang();
    }

    /// The machine may have ended.
    pub(super) fn wake_for_end(&mut self) {
        self.woken = true;
        self.ended = true;
    }

    pub(super) fn due(&self, now: Instant) -> bool {
        self.deadline(now).is_some_and(|deadline| deadline <= now)
    }

    /// When it wants a turn even if nothing happens.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.woken {
            return Some(now);
        }
        let phase = match self.phase {
            Phase::Running => self.silence_ends(),
            Phase::PoweringOff { until } => until,
            Phase::Draining(ref drain) => Some(drain.next),
            Phase::Ending { .. } | Phase::Gone => None,
        };
        let (console, channel) =
            if self.serves() { (self.console.deadline(), self.remote.deadline()) } else { (None, None) };
        let patience = self.patience.as_ref().and_then(|patience| patience.next);
        phase.into_iter().chain(console).chain(channel).chain(patience).min()
    }

    /// True if the core may still have something to say or to hear.
    fn serves(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::PoweringOff { .. })
    }

    /// When the console will have been silent for too long.
    fn silence_ends(&self) -> Option<Instant> {
        Some(self.traffic + self.settings.auto_close?)
    }

    /// A signal asks for an orderly end.
    pub(super) fn power_off(&mut self) {
        self.ask(Asked::Signal);
    }

    fn ask(&mut self, asked: Asked) {
        if let Phase::Running = self.phase {
            self.asked = Some(asked);
            let until = self.settings.stop_timeout.map(|timeout| Instant::now() + timeout);
            self.phase = Phase::PoweringOff { until };
            self.patience = None;
            if let Err(fault) = self.remote.request_power_off() {
                log::error!("{fault}");
                self.cut_power();
            }
        }
    }

    pub(super) fn cut_power(&mut self) {
        self.cut = true;
        self.finish(status::KILLED);
    }

    /// Tells of the end although nobody watches it. The core ends with the session, which may take its time.
    pub(super) fn give_up(mut self) {
        if let Some(on_end) = self.on_end.take() {
            on_end(Ended { status: status::LOST, at: SystemTime::now() });
        }
        thread::spawn(move || drop(self));
    }

    pub(super) fn close_input(&mut self) {
        if let Some(input) = &mut self.console.input {
            input.close();
        }
    }

    pub(super) fn close(&mut self, done: Sender<()>) {
        self.closing = Some(done);
    }

    /// Does all that can be done now; false when the session is over and its streams are closed.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        self.woken = false;
        self.remote.silence();
        if self.serves() {
            self.serve(now);
        }
        if std::mem::take(&mut self.ended)
            && let Some(death) = self.remote.death()
        {
            self.bury(death, now);
        }
        if let Phase::Draining(_) = self.phase {
            self.drain(now);
        }
        !matches!(self.phase, Phase::Gone)
    }

    fn serve(&mut self, now: Instant) {
        match self.remote.pump(&mut self.console) {
            Ok(Pumped { again, moved, owed }) => {
                self.woken |= again;
                if moved {
                    self.patience = None;
                    self.traffic = now;
                }
                self.watch_silence(now);
                self.watch_power(now);
                match self.phase {
                    Phase::Running => {
                        self.remote.watch_reset();
                        self.wait_for(owed, now);
                    }
                    Phase::PoweringOff { .. } => self.wait_for(true, now),
                    _ => {}
                }
            }
            Err(violation) => self.poisoned(&violation),
        }
    }

    /// Ends a container whose console has been silent for as long as it may.
    fn watch_silence(&mut self, now: Instant) {
        if let Phase::Running = self.phase
            && let Some(limit) = self.settings.auto_close
            && self.silence_ends().is_some_and(|end| end <= now)
        {
            log::info!("the console has been silent for {} ms: the container is ended", limit.as_millis());
            self.ask(Asked::Silence);
        }
    }

    /// Follows the state word to the core's end.
    fn watch_power(&mut self, now: Instant) {
        let remote = &mut self.remote;
        if let Phase::Running = self.phase
            && remote.powering_off()
        {
            self.phase = Phase::PoweringOff { until: Some(now + OFF_DEADLINE) };
            self.patience = None;
            remote.ask_affinity();
        }
        let Phase::PoweringOff { until } = self.phase else { return };
        if remote.affinity() == Some(Affinity::Off) {
            self.finish(self.status_when_off());
        } else if until.is_some_and(|until| now >= until) {
            self.force();
        }
    }

    /// The core has had its time to power itself off.
    fn force(&mut self) {
        let status = match self.asked {
            Some(asked) => {
                let millis = self.settings.stop_timeout.unwrap_or_default().as_millis();
                log::warn!("the firmware did not power itself off within {millis} ms: power is cut");
                asked.status_forced()
            }
            None => {
                log::warn!("the firmware announced its end, but the core still runs: power is cut");
                self.status_when_off()
            }
        };
        self.finish(status);
    }

    fn poisoned(&mut self, violation: &Violation) {
        log::error!("the remote broke the protocol: {violation}");
        self.finish(status::FAULT);
    }

    /// Ends the machine; the first status stands.
    fn finish(&mut self, status: u32) {
        if let Phase::Running | Phase::PoweringOff { .. } = self.phase {
            self.phase = Phase::Ending { status };
            self.patience = None;
            self.remote.cut_power();
            self.woken = true;
        }
    }

    /// The machine has ended: what it left in the rings is still to be printed.
    fn bury(&mut self, death: Death, now: Instant) {
        let status = match self.phase {
            Phase::Ending { status } => status,
            Phase::Running | Phase::PoweringOff { .. } => status::of(death, self.remote.report(), self.asked),
            Phase::Draining(_) | Phase::Gone => return,
        };
        self.phase = Phase::Draining(Drain::new(status, now));
        self.patience = None;
        if let Some(output) = &mut self.console.output {
            output.hurry();
        }
        self.woken = true;
    }

    /// Gives the last output to the reader, until it has all or there is no time left; tells of the end, and closes
    /// the streams.
    fn drain(&mut self, now: Instant) {
        self.console.input = None;
        // A violation now costs no more than the rest of the output.
        let pumped = self.remote.pump(&mut self.console);
        let (again, moved) = pumped.map_or((false, false), |pumped| (pumped.again, pumped.moved));
        let output = self.console.output.as_ref();
        let (unread, blocked) = output.map_or((0, false), |output| (output.unread(), output.blocked()));
        // What calls still print is read too.
        let unread = unread + self.remote.calls_under_way();
        let Phase::Draining(drain) = &mut self.phase else { return };
        let read = drain.look(unread, moved, now);
        if again && now < drain.until {
            self.woken = true;
            return;
        }
        if read && !self.cut && self.on_end.is_some() {
            return;
        }
        if let Some(on_end) = self.on_end.take() {
            on_end(drain.ended);
        }
        if blocked && now < drain.until {
            // The stream itself wakes us when it takes something.
            drain.next = drain.until;
            return;
        }
        // Closing the streams is the end of file that clients wait for.
        self.console = Console::default();
        self.phase = Phase::Gone;
        self.closing = None;
    }

    /// Keeps looking as long as something is owed, or for ever where rings may be missed, less and less often.
    fn wait_for(&mut self, owed: bool, now: Instant) {
        let watched = self.remote.misses_rings();
        if !owed && !watched {
            self.patience = None;
            return;
        }
        let running = matches!(self.phase, Phase::Running);
        let patience = self.patience.get_or_insert_with(|| Patience::new(now));
        if !patience.is_due(watched || !running, now) {
            return;
        }
        // Not to a core whose firmware announced its end by itself: that has nothing more to hear.
        if owed && (running || self.asked.is_some()) {
            self.remote.kick();
        }
        if !running {
            self.remote.ask_affinity();
        } else if watched && self.remote.affinity() == Some(Affinity::Off) {
            log::warn!("the core is off, without a word of its firmware");
            self.finish(self.status_when_off());
        }
    }

    /// The exit status that an orderly power-off means.
    fn status_when_off(&self) -> u32 {
        status::when_off(self.remote.report(), self.asked)
    }
}
