//! The console's endpoint.

use openamp::rpmsg::{EndpointId, Name};

use super::Service;

/// The endpoint that is the console.
#[derive(Debug)]
pub(super) struct Tty {
    pub(super) endpoint: EndpointId,
    /// The remote has been told our address. Before that it cannot print.
    pub(super) greeted: bool,
}

impl Tty {
    pub(super) fn new(endpoint: EndpointId) -> Tty {
        Tty { endpoint, greeted: false }
    }
}

impl Service for Tty {
    fn endpoint(&self) -> Option<EndpointId> {
        Some(self.endpoint)
    }
}

/// `rpmsg-tty`, `rpmsg-tty0`, `rpmsg-tty1` and so on.
pub(super) fn is_tty(name: &Name) -> bool {
    name.as_str()
        .strip_prefix("rpmsg-tty")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
