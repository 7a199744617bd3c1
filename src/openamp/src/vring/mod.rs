//! Split virtqueues (virtio 1.2, section 2.7) as RPMsg uses them: single buffers, no event index.

mod device;
mod driver;
mod geometry;
mod ids;

pub use device::{DeviceQueue, Offered};
pub use driver::{Buffers, DriverQueue, Used};
pub use geometry::Geometry;

/// Most descriptors in one ring: what Linux uses at most per direction.
pub const MAX_NUM: u16 = 256;

/// Descriptor flag: another descriptor follows.
pub(crate) const DESC_NEXT: u16 = 1;
/// Descriptor flag: the device writes into the buffer.
pub(crate) const DESC_WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors.
pub(crate) const DESC_INDIRECT: u16 = 4;
/// Ring flag of either side: "do not notify me".
pub(crate) const NO_NOTIFY: u16 = 1;
