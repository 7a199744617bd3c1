//! Packs RTOS firmware into an OCI image that containerd and Docker import, unpack and run like any other.
//!
//! The path of a bundle: a [`recipe`] says what it is made of; [`bundle`] checks the firmware against its board,
//! settles `client.conf` and the labels; [`layer`] makes the one layer of them and of further [`content`]; [`oci`] describes
//! it by configuration, manifest and index, [`sbom`] what is in it; [`archive`] puts all into one tar file; [`output`] brings
//! that to the disk, whole or not at all. Files go through in pieces: an image needs no more memory than a small one. Equal input gives equal bytes: no clock, no host name, no path, no hash map decides about
//! the output.
//!
//! Between machines: [`push`] brings an archive to a [`registry`], [`pull`] from there, by the name of a [`remote`].
//!
//! The way back: [`subject`] opens firmware or an archive ([`blobs`], [`image`], [`layers`]), which may be anybody's, as
//! [`section`]s of files; [`inspect`] says what is in it, [`verify`] whether it is as it should be, [`diff`] what changed.
#![forbid(unsafe_code)]

pub mod archive;
pub mod blobs;
pub mod bundle;
pub mod content;
pub mod diff;
pub mod documents;
pub mod epoch;
pub mod facts;
pub mod fit;
mod hashing;
pub mod image;
pub mod image_path;
pub mod input;
pub mod inspect;
pub mod layer;
pub mod layers;
pub mod memory_map;
pub mod oci;
pub mod output;
pub mod platform;
pub mod progress;
pub mod pull;
pub mod push;
pub mod recipe;
pub mod reference;
pub mod registry;
pub mod remote;
pub mod sbom;
pub mod section;
pub mod subject;
pub mod text;
mod ustar;
pub mod verify;
