//! RPMsg over two vrings: messages between numbered endpoints, announced by name.

mod endpoint;
mod header;
mod host;
mod name_service;
mod remote;

pub use endpoint::{Endpoint, EndpointId, MAX_ENDPOINTS, NoEndpointLeft};
pub use header::{HEADER_LEN, Header};
pub use host::{Host, Incoming, SendError};
pub use name_service::{Announcement, BadAnnouncement, NAME_LEN, NAME_SERVICE, Name};
pub use remote::{AnnounceError, Received, Remote};

use crate::placement::BUFFER_LEN;

/// Most payload bytes in one message.
pub const PAYLOAD_LEN: usize = BUFFER_LEN - HEADER_LEN;
/// Address of an endpoint whose peer is not known yet (`RPMSG_ADDR_ANY`).
pub const ADDR_ANY: u32 = u32::MAX;
/// First address that is given to endpoints; those below are reserved for fixed services.
pub const FIRST_DYNAMIC: u32 = 1024;
