//! What a firmware file is, for the shim that runs it and the builder that packs it.
//!
//! Both must judge an image alike, or the builder would pack what the shim refuses. So the checks live here:
//! the [`elf`] file with its resource table, the [`board`] whose memory it must fit, MICA's [`client_conf`],
//! the [`layout`] of an image and the names of its [`label`]s and [`annotation`]s.
#![forbid(unsafe_code)]

pub mod annotation;
pub mod board;
pub mod checksum;
pub mod client_conf;
pub mod date;
pub mod duration;
pub mod elf;
pub mod file;
#[cfg(feature = "sha256")]
pub mod integrity;
pub mod label;
pub mod layout;
pub mod setting;
#[cfg(any(test, feature = "test-elf"))]
pub mod test_elf;
pub mod text;
pub mod toml_file;
