//! From reset to Rust: exception level, stack, vectors.

use core::arch::global_asm;

global_asm!(include_str!("boot.s"), start = sym super::start, gicv3 = const !cfg!(feature = "rpi4") as u64);
