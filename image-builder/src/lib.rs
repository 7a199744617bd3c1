//! Packs RTOS firmware into an OCI image that containerd and Docker import, unpack and run like any other.
//!
//! The path of a bundle: a [`recipe`] says what it is made of; [`bundle`] checks the firmware against its board,
//! settles `client.conf` and the labels; [`layer`] makes the one layer of them; [`oci`] describes it by
//! configuration, manifest and index; [`archive`] puts all into one tar file; [`output`] brings that to the disk,
//! whole or not at all. Equal input gives equal bytes: no clock, no host name, no path, no hash map decides about
//! the output.
#![forbid(unsafe_code)]

pub mod archive;
pub mod bundle;
pub mod epoch;
pub mod image_path;
pub mod layer;
pub mod oci;
pub mod output;
pub mod platform;
pub mod recipe;
pub mod reference;
mod ustar;
