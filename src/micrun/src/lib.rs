//! The shim `containerd-shim-mica-v2`: runs an RTOS on a remote core as a container.
//!
//! The way of a request is the way down this list: [`shim`] (how containerd calls the binary) serves [`service`] (the
//! only code that knows ttrpc), which asks the [`sandbox`] for a [`container`], which loads firmware onto a core
//! ([`pedestal`]) and hands the running core to the [`reactor`], where its [`channel`] meets its [`console`].
//! `docs/architecture.md` walks through one run.

#![deny(unsafe_code)]

pub mod bundle;
pub mod channel;
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod container;
pub mod error;
pub mod events;
pub mod kind;
pub mod namespaces;
pub mod pedestal;
pub mod queue;
pub mod reactor;
pub mod resources;
pub mod rootfs;
pub mod rpc;
pub mod sandbox;
pub mod service;
pub mod settings;
pub mod shim;
pub mod store;
mod sys;
pub mod vec_map;
pub mod waiters;
