//! The bulk transfer service's endpoint: bound, so that firmware that waits for it goes on, but without a window to transfer
//! through.

use openamp::rpmsg::Name;

/// The first descriptor where there is no window, as MICA sends it: address 0, length 32 in 4 bytes, 4 bytes unused.
pub(super) const GREETING: &[u8; 16] = b"\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0";

pub(super) fn is_umt(name: &Name) -> bool {
    name.as_str() == "rpmsg-umt"
}
