//! How the shim and the agent talk: one page of guest RAM, written by both, announced by doorbells.
//!
//! This file is compiled into both. All fields are little endian; offsets are bytes from [`MAILBOX`]. The host writes a
//! command, then its number to [`COMMAND`], and rings vector [`VECTOR_COMMAND`] or sends [`BYTE_COMMAND`]; the agent writes [`RESULT`], then the
//! same number to [`REPLY`], and rings the host.
#![allow(dead_code, reason = "each side uses its part")]

/// Where the agent is linked on `virt`: 2 MiB into guest RAM, behind the device tree that QEMU writes at every reset.
pub const VIRT_AGENT: u64 = 0x4020_0000;
/// Where it is on `raspi4b`, 2 MiB into guest RAM as well.
pub const RASPI4B_AGENT: u64 = 0x20_0000;
/// The mailbox page, from the agent on.
pub const MAILBOX: u64 = 0x1_0000;
/// Bytes of the mailbox page.
pub const LEN: usize = 0x1000;

/// u32: [`READY`] once the agent serves, or `READY_FAILED | step` if the machine is not what it expects.
pub const STATUS: usize = 0x00;
/// u32: number of the last command, 0 before the first.
pub const COMMAND: usize = 0x04;
/// u32: what to do, one of [`CPU_ON`] and [`AFFINITY_INFO`].
pub const OPERATION: usize = 0x08;
/// u32: the core to do it to.
pub const CPU: usize = 0x0c;
/// u64: entry address, for [`CPU_ON`].
pub const ENTRY: usize = 0x10;
/// u32: number of the last command that was carried out.
pub const REPLY: usize = 0x18;
/// i32: its PSCI result.
pub const RESULT: usize = 0x1c;

/// The agent's own words on `raspi4b`, 16 bytes per core. The host leaves them alone.
pub const CORES: usize = 0x100;

/// [`STATUS`]: the agent serves ("GARM").
pub const READY: u32 = 0x4d52_4147;
/// [`STATUS`]: the agent gave up; the low byte says at which step.
pub const READY_FAILED: u32 = 0xdead_0000;

/// PSCI function: start a core.
pub const CPU_ON: u32 = 0xc400_0003;
/// PSCI function: is a core on (0), off (1) or on its way (2)?
pub const AFFINITY_INFO: u32 = 0xc400_0004;

/// Doorbell vector that pends the kick of the firmware's own core: no agent in between.
pub const VECTOR_KICK: u16 = 0;
/// Doorbell vector that wakes the agent.
pub const VECTOR_COMMAND: u16 = 1;
/// The host's peer id at the doorbell device; the agent's is 0.
pub const HOST_PEER: u16 = 1;

/// `raspi4b`: the host kicks the firmware.
pub const BYTE_KICK: u8 = b'k';
/// `raspi4b`: the host has a command.
pub const BYTE_COMMAND: u8 = b'c';
/// `raspi4b`: the host is rung.
pub const BYTE_RING: u8 = b'r';
