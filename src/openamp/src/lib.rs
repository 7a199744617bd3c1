//! OpenAMP for both virtio roles, without allocation, IO, clocks or `unsafe`.
//!
//! The Linux side of an RPMsg link is the virtio *driver* ([`rpmsg::Host`]), the RTOS the virtio *device*
//! ([`rpmsg::Remote`]); both speak over two vrings that [`placement`] lays out in a window of shared memory and that
//! the firmware's [`resource_table`] describes. Nothing here trusts what the other side wrote: an index or header is
//! copied out once, then the copy is checked, and every lie is a [`Violation`] that says what was wrong.
//!
//! Memory is passed in per call ([`shmem::Memory`]), so the same code runs in the shim, in firmware and in tests.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod placement;
pub mod resource_table;
pub mod rpmsg;
pub mod state;
mod violation;
pub mod vring;

pub use violation::Violation;
