//! Why something was not sent.

use super::{NoEndpointLeft, PAYLOAD_LEN};
use crate::Violation;

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer holds every buffer. Try again when one came back.
    #[error("the remote has not consumed the messages sent before")]
    Full,
    /// More than [`PAYLOAD_LEN`] bytes: never truncated silently.
    #[error("payload of {0} bytes, a message holds at most {PAYLOAD_LEN}")]
    TooLong(usize),
    /// The endpoint was withdrawn.
    #[error("the endpoint does not exist any more")]
    Gone,
    /// The endpoint has been announced, and nobody has answered yet.
    #[error("the endpoint's peer is not known yet")]
    Unconnected,
    /// The peer broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// Why an endpoint could not be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// No place left.
    #[error(transparent)]
    Place(#[from] NoEndpointLeft),
    /// The announcement could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}
