//! What micad says of an instance: one line with columns that may run into each other (MICA ABI, section 1.4).

use std::path::PathBuf;

/// Characters of a name that are shown as they are; longer ones are cut in the middle.
const SHOWN: usize = 31;

/// The states that micad has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Created, or stopped.
    Offline,
    /// Configured.
    Configured,
    /// Loaded; after a start that failed too.
    Ready,
    /// Started, as far as micad knows.
    Running,
    /// Never said.
    Suspended,
    /// Never said.
    Error,
    /// On its way off.
    Stopped,
}

const STATES: [(&str, State); 7] = [
    ("Offline", State::Offline),
    ("Configured", State::Configured),
    ("Ready", State::Ready),
    ("Running", State::Running),
    ("Suspended", State::Suspended),
    ("Error", State::Error),
    ("Stopped", State::Stopped),
];

/// A status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) state: State,
    /// The terminal of the first `rpmsg-tty`.
    pub(super) console: Option<PathBuf>,
}

impl Status {
    /// Reads the line about the instance `name`; `None` if it names no state.
    ///
    /// Neither column width nor blanks can be trusted: a long name and a long list of cores leave none. The name is
    /// known, and what stands between it and the state, a list of cores, has no word in it.
    pub(super) fn parse(name: &str, line: &str) -> Option<Status> {
        let rest = line.strip_prefix(&*shown(name)).unwrap_or(line);
        let found = STATES.iter().filter_map(|(word, state)| {
            let at = rest.find(word)?;
            let services = &rest[at + word.len()..];
            (services.is_empty() || services.starts_with(' ')).then_some((at, *state, services))
        });
        let (_, state, services) = found.min_by_key(|(at, ..)| *at)?;
        Some(Status { state, console: services.split(' ').find_map(terminal) })
    }
}

/// The name as the line has it.
fn shown(name: &str) -> String {
    match name.get(..12).zip(name.get(name.len().saturating_sub(1)..)) {
        Some((first, last)) if name.len() > SHOWN => format!("{first}...{last}"),
        _ => name.to_owned(),
    }
}

/// The path in a service like `rpmsg-tty0(/dev/ttyRPMSG0)`; none if the line was cut within.
fn terminal(service: &str) -> Option<PathBuf> {
    let (_, path) = service.strip_prefix("rpmsg-tty")?.split_once('(')?;
    path.strip_suffix(')').filter(|path| path.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, console: Option<&str>) -> Option<Status> {
        Some(Status { state, console: console.map(PathBuf::from) })
    }

    #[test]
    fn a_line_as_the_manual_has_it() {
        let line = "qemu-zephyr                   3                   Running             \
                    rpmsg-tty(/dev/ttyRPMSG0) rpmsg-rpc rpmsg-umt ";
        let running = status(State::Running, Some("/dev/ttyRPMSG0"));
        assert_eq!(Status::parse("qemu-zephyr", line), running);
        let line = line.replace("/dev/ttyRPMSG0", "/dev/ttyRPMSG_qemu-zephyr_0");
        let running = status(State::Running, Some("/dev/ttyRPMSG_qemu-zephyr_0"));
        assert_eq!(Status::parse("qemu-zephyr", &line), running);
        let offline = format!("{:<30}{:<20}{:<20}", "a", "", "Offline");
        assert_eq!(Status::parse("a", &offline), status(State::Offline, None));
    }

    #[test]
    fn columns_that_touch_are_told_apart() {
        let name = "k8s.io__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7";
        let cpus = "1,2,3,4,5,6,7,8,9,10,11";
        let line = format!("{:<30}{cpus}{:<20}debug-rtos-kernel ", "k8s.io__aaaa...7", "Ready");
        assert_eq!(Status::parse(name, &line), status(State::Ready, None));
        let name = "Running-Offline-Ready-Error-123";
        let line = format!("{name}3                   Stopped             ");
        assert_eq!(Status::parse(name, &line), status(State::Stopped, None));
    }

    #[test]
    fn what_is_cut_or_strange_is_no_console() {
        for services in
            ["rpmsg-tty(/dev/ttyRPMS", "rpmsg-tty", "rpmsg-tty(ttyRPMSG0)", "rpmsg-rpc", "tty(/x)"]
        {
            let line = format!("{:<30}{:<20}{:<20}{services}", "a", "3", "Running");
            assert_eq!(Status::parse("a", &line), status(State::Running, None), "{services}");
        }
        let line =
            format!("{:<30}{:<20}{:<20}", "a", "3", "Running") + "rpmsg-tty1(/dev/a) rpmsg-tty(/dev/b) ";
        assert_eq!(Status::parse("a", &line), status(State::Running, Some("/dev/a")));
        for line in ["", "a 3 Runningx", "a 3 running", "\u{fffd}"] {
            assert_eq!(Status::parse("a", line), None, "{line}");
        }
    }
}
