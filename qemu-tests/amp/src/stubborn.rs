//! Firmware that does not do what it is told, until the test lets it go.

use std::fs::OpenOptions;
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use firmware::test_elf::{CODE_ADDR, TestElf, minimal_table};
use shmem::{Mapping, Memory, barrier};

/// Where the word is that lets it go.
const WORD: usize = 0x100;

/// Interrupts masked, as a core begins: waits for the word, then powers itself off by PSCI.
#[rustfmt::skip]
const CODE: [u32; 8] = [
    0xd2af_4001, //     movz x1, #0x7a00, lsl #16
    0x9104_0021, //     add  x1, x1, #0x100
    0xb940_0022, // 1:  ldr  w2, [x1]
    0x34ff_ffe2, //     cbz  w2, 1b
    0x5280_0040, //     movz w0, #0x0002
    0x72b0_8000, //     movk w0, #0x8400, lsl #16
    0xd400_0002, //     hvc  #0
    0x1400_0000, //     b    .
];

/// The code and the word, as they are loaded at [`CODE_ADDR`].
pub fn image() -> Vec<u8> {
    let mut bytes: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(WORD + 4, 0);
    bytes
}

/// The file.
pub fn elf() -> Vec<u8> {
    TestElf::new().without_segments().segment(CODE_ADDR, &image()).resource_table(&minimal_table()).build()
}

/// Lets it power its core off.
pub fn let_go() -> Result<()> {
    let memory = OpenOptions::new().read(true).write(true).open("/dev/mem").context("/dev/mem")?;
    let page = Mapping::new(memory.as_fd(), CODE_ADDR, 4096)?;
    page.window().store_u32(WORD, 1)?;
    barrier::full();
    Ok(())
}
