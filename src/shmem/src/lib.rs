//! Memory shared with a peer that is not trusted.
//!
//! An RTOS on a remote core can write any byte of the shared window at any time. So there is never a Rust
//! reference into it: a [`Window`] hands out single, bounds-checked, volatile accesses of natural width, and bulk
//! data is copied out before anybody looks at it. All `unsafe` of the OpenAMP side of the project lives here.
//!
//! Why not `memcpy`: on aarch64 a remote or host may map the window with a device type, where unaligned accesses
//! and the cache-zeroing instruction of a fast `memset` fault. [`Memory::copy_in`] and friends use aligned words.
//!
//! ```
//! use shmem::{Memory, Window};
//! let mut backing = [0u64; 8];
//! // SAFETY: the array outlives the window and is touched through it alone.
//! let window = unsafe { Window::from_raw(backing.as_mut_ptr().cast(), 64) };
//! window.store_u16(2, 0xbeef).unwrap();
//! assert_eq!(window.load_u16(2).unwrap(), 0xbeef);
//! assert!(window.load_u32(62).is_err());
//! ```
#![cfg_attr(not(any(feature = "std", test)), no_std)]

pub mod barrier;
#[cfg(feature = "std")]
mod mapping;
mod memory;
mod window;

#[cfg(feature = "std")]
pub use mapping::Mapping;
pub use memory::{Fault, Memory};
pub use window::Window;
