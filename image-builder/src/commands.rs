//! The commands, one file each.

pub(crate) mod bundle;
pub(crate) mod completions;
mod ctr;
pub(crate) mod diff;
pub(crate) mod import;
pub(crate) mod inspect;
mod look;
pub(crate) mod man;
pub(crate) mod pull;
pub(crate) mod push;
mod registry;
pub(crate) mod verify;
