//! A stub for gdb: answers its packets about the core that was interrupted (GDB's remote serial protocol).
//!
//! It reads registers and memory, writes memory, and lets the core go on. There are no breakpoints and no single steps.

use crate::buffer::Buffer;

/// Registers as gdb counts them: `x0` to `x30`, `sp`, `pc`, `cpsr`.
pub const REGISTERS: usize = 34;
const CPSR: usize = REGISTERS - 1;
const PC: usize = CPSR - 1;
/// Longest packet, in either direction, without its frame; gdb is told.
const PACKET_LEN: usize = 0x400;
const SUPPORTED: &[u8] = b"PacketSize=400";
/// What a packet begins with.
pub const BEGIN: u8 = b'$';
/// Signals, by gdb's numbers.
const SIGINT: u8 = 2;
const SIGTRAP: u8 = 5;

/// Memory by address.
pub trait Space {
    /// The byte there; `None` if there is no memory.
    fn load(&self, address: u64) -> Option<u8>;
    /// Writes it; false if there is no memory.
    fn store(&mut self, address: u64, byte: u8) -> bool;
}

/// What the core does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It stays stopped.
    Stay,
    /// It goes on.
    Go,
}

/// Where in a packet the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Outside,
    Inside,
    Checksum(Option<u8>),
}

/// One conversation.
#[derive(Debug)]
pub struct Stub {
    packet: Buffer<PACKET_LEN>,
    at: At,
    /// For gdb, to be taken out.
    pub answer: Buffer<{ PACKET_LEN + 8 }>,
    signal: u8,
}

impl Default for Stub {
    fn default() -> Stub {
        Stub::new()
    }
}

impl Stub {
    /// Nothing was said yet.
    pub const fn new() -> Stub {
        Stub { packet: Buffer::new(), at: At::Outside, answer: Buffer::new(), signal: SIGTRAP }
    }

    /// The core has stopped because gdb asked for it, which waits to hear of that.
    pub fn interrupted(&mut self) {
        self.signal = SIGINT;
        self.say(&[b'S', hex(SIGINT >> 4), hex(SIGINT)]);
    }

    /// Takes one byte of gdb.
    pub fn take(&mut self, byte: u8, registers: &mut [u64; REGISTERS], space: &mut impl Space) -> Next {
        match (self.at, byte) {
            (_, BEGIN) => {
                self.packet.clear();
                self.at = At::Inside;
            }
            (At::Inside, b'#') => self.at = At::Checksum(None),
            (At::Inside, _) => {
                self.packet.push(byte);
            }
            (At::Checksum(None), _) => self.at = At::Checksum(Some(byte)),
            (At::Checksum(Some(high)), low) => {
                self.at = At::Outside;
                let sum = self.packet.as_slice().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                if [high, low] != [hex(sum >> 4), hex(sum)] {
                    self.answer.push(b'-');
                    return Next::Stay;
                }
                self.answer.push(b'+');
                return self.obey(registers, space);
            }
            // Acknowledgements, and Ctrl-C while it is stopped.
            (At::Outside, _) => {}
        }
        Next::Stay
    }

    fn obey(&mut self, registers: &mut [u64; REGISTERS], space: &mut impl Space) -> Next {
        let mut packet = Buffer::<PACKET_LEN>::new();
        packet.extend(self.packet.as_slice());
        let (command, rest) = packet.as_slice().split_first().unwrap_or((&0, &[]));
        match command {
            b'?' => self.say(&[b'S', hex(self.signal >> 4), hex(self.signal)]),
            b'g' => self.tell_registers(registers),
            b'm' => self.read(rest, space),
            b'M' => self.write(rest, space),
            b'H' => self.say(b"OK"),
            b'q' if rest.starts_with(b"Supported") => self.say(SUPPORTED),
            // The core was there before gdb, which therefore lets go of it in the end.
            b'q' if rest == b"Attached" => self.say(b"1"),
            b'c' => {
                if let Some((address, _)) = number(rest) {
                    registers[PC] = address;
                }
                return Next::Go;
            }
            b'D' => {
                self.say(b"OK");
                self.signal = SIGTRAP;
                return Next::Go;
            }
            b'k' => return Next::Go,
            // The word for what a stub does not know.
            _ => self.say(b""),
        }
        Next::Stay
    }

    fn tell_registers(&mut self, registers: &[u64; REGISTERS]) {
        let mut text = Buffer::<PACKET_LEN>::new();
        for (index, register) in registers.iter().enumerate() {
            // The last one has 32 bits.
            let len = if index == CPSR { 4 } else { 8 };
            register.to_le_bytes().iter().take(len).for_each(|byte| push_hex(&mut text, *byte));
        }
        self.say(text.as_slice());
    }

    fn read(&mut self, range: &[u8], space: &impl Space) {
        let mut text = Buffer::<PACKET_LEN>::new();
        if let Some((address, len, _)) = range_of(range) {
            let bytes =
                (0..len.min(PACKET_LEN as u64 / 2)).map_while(|at| space.load(address.checked_add(at)?));
            bytes.for_each(|byte| push_hex(&mut text, byte));
        }
        self.say(if text.is_empty() { b"E01" } else { text.as_slice() });
    }

    fn write(&mut self, packet: &[u8], space: &mut impl Space) {
        let written = range_of(packet).and_then(|(address, len, data)| {
            let (pairs, rest) = data.strip_prefix(b":")?.as_chunks::<2>();
            if !rest.is_empty() || pairs.len() as u64 != len {
                return None;
            }
            for (at, [high, low]) in (0..).zip(pairs) {
                let byte = unhex(*high)? << 4 | unhex(*low)?;
                space.store(address.checked_add(at)?, byte).then_some(())?;
            }
            Some(())
        });
        self.say(if written.is_some() { b"OK" } else { b"E01" });
    }

    fn say(&mut self, text: &[u8]) {
        let sum = text.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        for part in [b"$", text, b"#", &[hex(sum >> 4), hex(sum)]] {
            self.answer.extend(part);
        }
    }
}

/// `ADDRESS,LENGTH`, and what follows.
fn range_of(text: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (address, rest) = number(text)?;
    let (len, rest) = number(rest.strip_prefix(b",")?)?;
    Some((address, len, rest))
}

/// A hexadecimal number, and what follows.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|digit| unhex(*digit).is_none()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let digit = |value: u64, digit: &u8| Some(value.checked_mul(16)? | u64::from(unhex(*digit)?));
    Some((digits.iter().try_fold(0, digit).filter(|_| !digits.is_empty())?, rest))
}

fn push_hex<const N: usize>(text: &mut Buffer<N>, byte: u8) {
    text.extend(&[hex(byte >> 4), hex(byte)]);
}

/// The digit of the lower four bits.
fn hex(value: u8) -> u8 {
    let value = value & 0xf;
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn unhex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen bytes at 0x1000.
    struct Bytes([u8; 16]);

    impl Space for Bytes {
        fn load(&self, address: u64) -> Option<u8> {
            self.0.get(usize::try_from(address.checked_sub(0x1000)?).ok()?).copied()
        }

        fn store(&mut self, address: u64, byte: u8) -> bool {
            let at = address.checked_sub(0x1000).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| self.0.get_mut(at)).map(|place| *place = byte).is_some()
        }
    }

    /// What one packet is answered, without the acknowledgement, and what the core does then.
    fn asked(text: &str, registers: &mut [u64; REGISTERS], bytes: &mut Bytes) -> (String, Next) {
        let mut stub = Stub::new();
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        let mut next = Next::Stay;
        for byte in format!("+${text}#{sum:02x}").bytes() {
            assert_eq!(next, Next::Stay);
            next = stub.take(byte, registers, bytes);
        }
        let answer = String::from_utf8(stub.answer.as_slice().to_vec()).expect("text");
        (answer.strip_prefix('+').expect("acknowledged").to_owned(), next)
    }

    fn answer(text: &str) -> String {
        let mut bytes = Bytes([0; 16]);
        bytes.0[..4].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        asked(text, &mut [0; REGISTERS], &mut bytes).0
    }

    #[test]
    fn memory_is_read_as_far_as_there_is_any() {
        assert_eq!(answer("m1000,4"), "$deadbeef#20");
        assert!(answer("m100e,8").starts_with("$0000#"));
        for wrong in ["m1010,1", "m0,4", "m", "m1000", "mffffffffffffffff,2", "m10000000000000000,1"] {
            assert!(answer(wrong).starts_with("$E01#"), "{wrong}");
        }
    }

    #[test]
    fn memory_is_written_or_refused() {
        let mut bytes = Bytes([0; 16]);
        assert_eq!(asked("M1001,2:0aFf", &mut [0; REGISTERS], &mut bytes).0, "$OK#9a");
        assert_eq!(bytes.0[..4], [0, 0x0a, 0xff, 0]);
        for wrong in ["M1000,2:00", "M1000,1:0", "M1000,1:xx", "M100f,2:0000", "M1000,1"] {
            assert!(answer(wrong).starts_with("$E01#"), "{wrong}");
        }
    }

    #[test]
    fn registers_are_little_endian_and_the_last_is_short() {
        let mut registers = [0; REGISTERS];
        (registers[0], registers[PC], registers[CPSR]) = (0x1122, 0x7a00_0000, 0x6000_0345);
        let (text, _) = asked("g", &mut registers, &mut Bytes([0; 16]));
        let digits = text.trim_start_matches('$').split('#').next().expect("digits");
        assert_eq!(digits.len(), 2 * (33 * 8 + 4));
        assert!(digits.starts_with("2211000000000000") && digits.ends_with("0000007a0000000045030060"));
    }

    #[test]
    fn the_core_goes_on_when_it_is_told_to() {
        let (mut registers, mut bytes) = ([0; REGISTERS], Bytes([0; 16]));
        assert_eq!(asked("c", &mut registers, &mut bytes), (String::new(), Next::Go));
        assert_eq!(asked("c1f", &mut registers, &mut bytes).1, Next::Go);
        assert_eq!(registers[PC], 0x1f);
        assert_eq!(asked("D", &mut registers, &mut bytes), ("$OK#9a".to_owned(), Next::Go));
    }

    #[test]
    fn what_is_unknown_or_torn_is_said_so() {
        assert_eq!(answer("vMustReplyEmpty"), "$#00");
        assert_eq!(answer("qSupported:xmlRegisters=i386"), "$PacketSize=400#c4");
        assert_eq!(answer("?"), "$S05#b8");
        let mut stub = Stub::new();
        for byte in *b"$?#00$?#3f" {
            stub.take(byte, &mut [0; REGISTERS], &mut Bytes([0; 16]));
        }
        assert_eq!(stub.answer.as_slice(), b"-+$S05#b8");
    }
}
