//! What is true after a crash: the table of `docs/crashes.md`, as the rounds demand it.

use std::fmt;

use anyhow::{Result, bail};

use super::plan::{Round, Step, Victim};

/// What containerd knows of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// There is none.
    Gone,
    Created,
    Running,
    Stopped,
}

impl State {
    /// What `ctr` calls it.
    ///
    /// # Errors
    /// It calls it something else.
    pub(super) fn parse(status: Option<&str>) -> Result<Self> {
        Ok(match status {
            None => Self::Gone,
            Some("CREATED") => Self::Created,
            Some("RUNNING") => Self::Running,
            Some("STOPPED") => Self::Stopped,
            Some(other) => bail!("the task is {other}"),
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Gone => "gone",
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
        })
    }
}

/// The states of which one must be reached after the kill. Where there are two, the moment within the step decides.
pub(super) fn states(round: &Round) -> &'static [State] {
    use State::{Created, Gone, Running, Stopped};
    match (round.victim, round.step) {
        // The next `start` of a pod whose server has died makes another one.
        (Victim::Shim | Victim::Both, Step::Create) if round.pod => &[Gone, Created],
        (Victim::Shim | Victim::Both, _) => &[Gone],
        // One that is killed when it has answered has done its work.
        (Victim::Starter, _) => &[Gone, Created],
        (Victim::Containerd, Step::Create) => &[Gone, Created],
        (Victim::Containerd, Step::Start) => &[Created, Running],
        (Victim::Containerd, Step::Run) => &[Running],
        (Victim::Containerd, Step::Kill) => &[Running, Stopped],
        (Victim::Containerd, Step::Delete) => &[Gone, Stopped],
        (Victim::Emulator, _) => &[Stopped],
    }
}

/// The exit statuses of which one must be told when the task is deleted in the end, by SIGKILL if it still ran.
pub(super) fn exits(round: &Round) -> &'static [u32] {
    match (round.victim, round.step) {
        // A core that never ran has no end to tell: 255 says that it did not start.
        (Victim::Emulator, Step::Start) => &[137, 255],
        (_, Step::Kill) if round.orderly => &[137, 143],
        _ => &[137],
    }
}

/// The state of the other container of the same shim.
pub(super) fn of_the_pod(victim: Victim) -> State {
    match victim {
        Victim::Shim | Victim::Both => State::Gone,
        Victim::Starter | Victim::Containerd | Victim::Emulator => State::Running,
    }
}

/// Whether something that is left is containerd's own doing: it renames a bundle before it removes it, and forgets it
/// if it is killed in between, whatever the runtime.
pub(super) fn is_containerds(left: &str) -> bool {
    left.starts_with("bundle ") && left.rsplit_once('/').is_some_and(|(_, name)| name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_removed_bundles_are_containerds() {
        let hidden = "bundle /tmp/a/state/io.containerd.runtime.v2.task/micrun/.k1";
        assert!(is_containerds(hidden));
        for left in ["bundle /tmp/.a/state/k1", "mount /tmp/a/state/.k1", "socket /run/.k1"] {
            assert!(!is_containerds(left), "{left}");
        }
    }
}
