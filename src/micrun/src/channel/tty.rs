//! The endpoints that are terminals: the first is the console, the others have a socket each.

use openamp::rpmsg::{EndpointId, Name};

use super::door::Door;

/// A terminal beside the console. What nobody reads is lost, as is what its reader is too slow for: the ring carries the
/// console too.
pub(super) struct SideTty {
    pub(super) endpoint: EndpointId,
    pub(super) door: Door,
}

/// `rpmsg-tty`, `rpmsg-tty0`, `rpmsg-tty1` and so on.
pub(super) fn is_tty(name: &Name) -> bool {
    name.as_str()
        .strip_prefix("rpmsg-tty")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rpmsg_tty_and_a_number_are_terminals() {
        for (name, tty) in [
            ("rpmsg-tty", true),
            ("rpmsg-tty0", true),
            ("rpmsg-tty17", true),
            ("r", false),
            ("rpmsg-tt", false),
            ("rpmsg-tty-1", false),
            ("rpmsg-tty1x", false),
            ("rpmsg-tty/../x", false),
            ("xrpmsg-tty", false),
        ] {
            assert_eq!(is_tty(&Name::new(name).expect("a name")), tty, "{name}");
        }
    }
}
