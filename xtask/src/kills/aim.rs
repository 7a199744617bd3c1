//! Who is killed, and at which moment of the step.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use qemu_tests::kill_9;

use super::gate::Call;
use super::ground::Ground;
use super::plan::{Round, Step, Victim};
use super::round::Names;
use super::victims::{Known, Role, hold_starters, is_child_of, role};

/// How long a `start` goes on after it was held, about.
const STARTER: Duration = Duration::from_millis(3);
/// The same of one that finds the pod's server.
const JOINER: Duration = Duration::from_micros(500);
/// How long a process to kill may take to appear: longer than any step.
const APPEARANCE: Duration = Duration::from_secs(1);

/// What is known of the processes before the blow.
pub(super) struct Aim {
    /// The container.
    id: String,
    /// Those that are not the container's own.
    known: Known,
    containerd: u32,
    /// The shim's server, if it is there.
    shim: Option<u32>,
    /// The container's own emulator, if it runs.
    emulator: Option<u32>,
}

impl Aim {
    /// Looks up who is there before the step; `known` was there before the container.
    ///
    /// # Errors
    /// containerd does not tell the shim's process.
    pub(super) fn take(ground: &Ground, round: &Round, names: &Names, known: Known) -> Result<Self> {
        let server = |id: &String| ground.bed.task(id).pid();
        let shim = match round.step {
            Step::Create => names.other.as_ref().map(server).transpose()?,
            _ => Some(server(&names.id)?),
        };
        let emulator = shim.and_then(|shim| known.newcomers(|pid| is_child_of(pid, shim)).pop());
        Ok(Self { id: names.id.clone(), known, containerd: ground.bed.containerd.pid(), shim, emulator })
    }

    /// Lets the request go on, and kills at a moment within the step. False if that came too late for all of them.
    ///
    /// # Errors
    /// The request can't go on.
    pub(super) fn strike(&self, ground: &Ground, round: &mut Round, call: Option<&Call>) -> Result<bool> {
        let doomed = match round.victim {
            Victim::Starter => self.starter(round, call)?,
            _ => {
                let moment = round.dice.time(ground.length(round.core, round.step));
                call.map_or(Ok(()), Call::go_on)?;
                self.doomed(round, moment)
            }
        };
        // All of them, whether or not the first has ended by itself.
        Ok(doomed.into_iter().filter(|pid| kill_9(*pid).is_ok()).count() > 0)
    }

    /// Waits for `moment` to come, and gives those whose moment it is.
    fn doomed(&self, round: &mut Round, moment: Duration) -> Vec<u32> {
        let mut doomed = match (round.victim, self.shim, round.step) {
            (Victim::Shim | Victim::Both, None, _) => self.appear(moment, |pid| self.is(pid, Role::Server)),
            (Victim::Emulator, Some(shim), Step::Start) => self.appear(moment, |pid| is_child_of(pid, shim)),
            _ => {
                thread::sleep(moment);
                match round.victim {
                    Victim::Emulator => self.emulator.into_iter().collect(),
                    Victim::Containerd => Vec::new(),
                    _ => self.shim.into_iter().collect(),
                }
            }
        };
        if matches!(round.victim, Victim::Containerd | Victim::Both) {
            doomed.push(self.containerd);
        }
        if round.dice.below(2) == 0 {
            doomed.reverse();
        }
        doomed
    }

    /// Holds `start` until it is found, then lets it go on for a moment.
    fn starter(&self, round: &mut Round, call: Option<&Call>) -> Result<Vec<u32>> {
        let moment = round.dice.time(if round.pod { JOINER } else { STARTER });
        let held = hold_starters()?;
        call.map_or(Ok(()), Call::go_on)?;
        let doomed = self.appear(Duration::ZERO, |pid| self.is(pid, Role::Starter));
        drop(held);
        thread::sleep(moment);
        Ok(doomed)
    }

    /// Waits until there is a process, then for `moment`. Some live for a millisecond, so there is no pause between
    /// two looks, and one may be missed: then there is none.
    fn appear(&self, moment: Duration, is: impl Fn(u32) -> bool) -> Vec<u32> {
        let begun = Instant::now();
        while begun.elapsed() < APPEARANCE {
            let there = self.known.newcomers(&is);
            if !there.is_empty() {
                thread::sleep(moment);
                return there;
            }
        }
        Vec::new()
    }

    fn is(&self, pid: u32, wanted: Role) -> bool {
        role(pid, &self.id) == Some(wanted)
    }
}
