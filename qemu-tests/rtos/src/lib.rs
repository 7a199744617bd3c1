//! What the test RTOS does with bytes: its shell, apart from the core it runs on.
//!
//! The firmware image (`src/main.rs`, feature `image`) adds the hardware: start-up, interrupts, the RPMsg link. Kept
//! apart so that the shell is tested on the host, and so that tests can compute what the firmware must answer
//! ([`flood::Flood`], [`shell::PROMPT`]). `docs/reference/test-rtos.md` is the contract.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod buffer;
pub mod bulk;
pub mod command;
pub mod fault;
pub mod flood;
pub mod gdb;
pub mod line;
mod number;
pub mod resource_table;
pub mod rpc;
pub mod shell;
