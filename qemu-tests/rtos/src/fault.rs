//! How a fault is named on the console and in the report word.

use crate::buffer::Buffer;
use crate::number::Text;

/// Fault number of a host that broke the RPMsg protocol; outside the six bits of an exception class.
pub const PROTOCOL: u8 = 0xff;
/// Fault number of a core whose interrupt controller cannot be used.
pub const NO_INTERRUPTS: u8 = 0xfe;

/// The exception class of a syndrome (`ESR_EL1`, bits 31 to 26).
pub fn class(syndrome: u64) -> u8 {
    ((syndrome >> 26) & 0x3f) as u8
}

/// The console's line for an exception of `class` at the instruction `pc`.
pub fn line(class: u8, pc: u64) -> Buffer<80> {
    let mut line = Buffer::new();
    for part in [b"fault: ", name(class), b" at 0x", Text::hex(pc).as_bytes(), b"\r\n"] {
        line.extend(part);
    }
    line
}

/// Names of the classes that bare-metal code without an MMU can meet (Arm ARM, `ESR_EL1.EC`).
fn name(class: u8) -> &'static [u8] {
    match class {
        0x00 => b"undefined instruction",
        0x21 => b"instruction abort",
        0x22 => b"misaligned program counter",
        0x25 => b"data abort",
        0x26 => b"misaligned stack pointer",
        0x2f => b"system error",
        0x3c => b"panic",
        _ => b"unexpected exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line() {
        assert_eq!(class(0x9600_0021), 0x25);
        assert_eq!(line(0x25, 0x7a00_0abc).as_slice(), b"fault: data abort at 0x7a000abc\r\n");
    }

    #[test]
    fn the_longest_line_is_whole() {
        assert!(line(0x22, u64::MAX).as_slice().ends_with(b" at 0xffffffffffffffff\r\n"));
    }
}
