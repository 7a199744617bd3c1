//! Exit statuses, by the conventions of a shell.

use openamp::state::Report;

use crate::pedestal::Death;

/// The firmware faulted or broke the protocol: 128 + SIGSEGV, as a shell would say it.
pub(super) const FAULT: u32 = 128 + libc::SIGSEGV as u32;
/// After an orderly power-off that was asked for and that the firmware did not comment.
const TERMINATED: u32 = 128 + libc::SIGTERM as u32;
/// After SIGKILL.
pub(super) const KILLED: u32 = 128 + libc::SIGKILL as u32;
/// After a reset of the whole board that the firmware did not comment: something to start again.
const RESET: u32 = 1;
/// The machine itself failed, or its end is unknown.
pub(super) const LOST: u32 = 255;

/// Why the firmware was asked to power itself off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// By a signal.
    Signal,
    /// Its console has been silent for too long.
    Silence,
}

impl Asked {
    /// The exit status after an orderly power-off that the firmware did not comment.
    pub(super) fn status(self) -> u32 {
        match self {
            Asked::Signal => TERMINATED,
            Asked::Silence => 0,
        }
    }

    /// The exit status if power had to be cut.
    pub(super) fn status_forced(self) -> u32 {
        match self {
            Asked::Signal => KILLED,
            Asked::Silence => 0,
        }
    }
}

/// After an end in good order.
pub(super) fn when_off(report: Option<Report>, asked: Option<Asked>) -> u32 {
    match report {
        Some(Report::Exit(status)) => status.into(),
        Some(Report::Fault(number)) => {
            log::error!("the firmware reports fault {number:#x}");
            FAULT
        }
        None => asked.map_or(0, Asked::status),
    }
}

/// After any end.
pub(super) fn of(death: Death, report: Option<Report>, asked: Option<Asked>) -> u32 {
    match death {
        Death::Reset if asked.is_none() && report.is_none() => {
            log::error!("the firmware reset the board, which ends its container");
            RESET
        }
        Death::PoweredOff | Death::Reset => when_off(report, asked),
        Death::Signal(signal) => {
            log::error!("signal {signal} ended the emulator");
            128 + signal as u32
        }
        Death::Failed(code) => {
            log::error!("the emulator failed with code {code}");
            LOST
        }
        Death::Exited(status) => status.into(),
        Death::Crashed => {
            log::error!("the firmware crashed");
            FAULT
        }
        Death::Lost => LOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_firmware_says_of_an_orderly_end_counts() {
        for asked in [None, Some(Asked::Signal), Some(Asked::Silence)] {
            assert_eq!(when_off(Some(Report::Exit(7)), asked), 7);
            assert_eq!(when_off(Some(Report::Fault(0x25)), asked), 139);
        }
        assert_eq!(when_off(None, None), 0);
        assert_eq!(when_off(None, Some(Asked::Signal)), 143);
        assert_eq!(when_off(None, Some(Asked::Silence)), 0);
    }

    #[test]
    fn a_reset_is_an_end_to_start_again_from_unless_it_was_wanted() {
        assert_eq!(of(Death::Reset, None, None), 1);
        assert_eq!(of(Death::Reset, None, Some(Asked::Signal)), 143);
        assert_eq!(of(Death::Reset, Some(Report::Exit(0)), None), 0);
        assert_eq!(of(Death::PoweredOff, None, None), 0);
    }

    #[test]
    fn what_ends_the_machine_is_told_like_a_shell_does() {
        let report = Some(Report::Exit(0));
        assert_eq!(of(Death::Signal(9), report, None), 137);
        assert_eq!(of(Death::Crashed, report, None), 139);
        assert_eq!(of(Death::Failed(2), report, None), 255);
        assert_eq!(of(Death::Lost, report, None), 255);
        assert_eq!(of(Death::Exited(3), None, None), 3);
    }
}
