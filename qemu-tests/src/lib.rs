//! Drives a real containerd: the ground under the integration tests, the demo and the benchmarks.
//!
//! A test starts a [`Containerd`] of its own, talks to it through [`Ctr`] (and a [`Pty`] where a person would
//! sit at a terminal), and in the end asks it with [`Leaks`] what the containers left behind. Nothing here knows
//! micrun from the inside: what is found is what any user of containerd would find.

#![forbid(unsafe_code)]

mod artifacts;
pub mod busybox;
pub mod by_hand;
mod command;
mod containerd;
mod ctr;
mod docker;
mod image;
mod leaks;
pub mod limits;
mod process;
mod pty;
mod registry;
mod testbed;
pub mod transcript;
mod version;
mod wait;

pub use artifacts::Artifacts;
pub use command::{Output, run, run_with_input};
pub use containerd::{Containerd, Kept, MICRUN, MICRUN_SANDBOX, NETWORKS, Options, PAUSE};
pub use ctr::Ctr;
pub use docker::Docker;
pub use image::Image;
pub use leaks::Leaks;
pub use process::Process;
pub use pty::Pty;
pub use registry::Registry;
pub use testbed::{DEADLINE, PROMPT, RUNTIME, Task, Testbed, ask, kill_9, lives};
pub use version::{Version, directory};
pub use wait::wait_for;
