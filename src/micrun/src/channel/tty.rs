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
