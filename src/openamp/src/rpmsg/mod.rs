//! RPMsg over two vrings: messages between numbered endpoints, announced by name.
//!
//! A message can be taken off the ring in two ways. [`Host::receive`] copies it out and gives its buffer back at once.
//! [`Host::hold`] leaves it where it is: the buffer is ours until [`Host::release`], and as long as all are held the
//! remote cannot send, which is all the back-pressure there is. [`Remote`] has the same two.

mod endpoint;
mod endpoint_table;
mod ends;
mod error;
mod header;
mod host;
mod incoming;
mod message;
mod name_service;
mod remote;

pub use endpoint::{Endpoint, EndpointId, MAX_ENDPOINTS, NoEndpointLeft};
pub use error::{AnnounceError, SendError};
pub use header::{HEADER_LEN, Header};
pub use host::Host;
pub use incoming::{Incoming, Taken};
pub use message::Held;
pub use name_service::{Announcement, BadAnnouncement, NAME_LEN, NAME_SERVICE, Name};
pub use remote::{Received, Remote};

use crate::placement::BUFFER_LEN;

/// Most payload bytes in one message.
pub const PAYLOAD_LEN: usize = BUFFER_LEN - HEADER_LEN;
/// Address of an endpoint whose peer is not known yet (`RPMSG_ADDR_ANY`).
pub const ADDR_ANY: u32 = u32::MAX;
/// First address that is given to endpoints; those below are reserved for fixed services.
pub const FIRST_DYNAMIC: u32 = 1024;
