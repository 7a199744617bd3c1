#![doc = include_str!("../README.md")]
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
