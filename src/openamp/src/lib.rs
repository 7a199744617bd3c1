#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod debug_ring;
pub mod placement;
pub mod resource_table;
pub mod rpmsg;
pub mod state;
mod violation;
pub mod vring;

pub use violation::Violation;
