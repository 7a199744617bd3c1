//! Plays the kubelet: runs pods through the Container Runtime Interface of a private containerd.
//!
//! A test starts a [`Node`], runs a [`Pod`] on it and [`Container`]s in the pod, and in the end asks the node whether
//! anything is left. The client is generated from the interface's definition (`proto/api.proto`); only streams
//! ([`Attached`]) are not gRPC. A crate of its own, so that the project's tasks build without a gRPC client.

#![forbid(unsafe_code)]

/// The messages and clients of `proto/api.proto`.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod api {
    tonic::include_proto!("runtime.v1");
}

mod attached;
mod container;
mod cri;
mod log;
mod network;
mod node;
mod pod;

pub use attached::Attached;
pub use container::Container;
pub use cri::Cri;
pub use log::{Line, lines};
pub use network::Bridge;
pub use node::Node;
pub use pod::{Network, Pod};
