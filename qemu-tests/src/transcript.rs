//! What is typed at the test RTOS on core 3, and what it says to that, byte for byte, whatever drives its core.

/// Typed ahead, before there is a console.
pub const INPUT: &[u8] = b"uname\recho one  two\recho \x01\x7f\x02\xff\xfe\rflood 128\rexit 3\r";

/// All that comes out.
pub const OUTPUT: &[u8] = b"micrun test RTOS 0.1.0 on CPU 3\r\n\
rtos# uname\r\nmicrun test RTOS 0.1.0 aarch64\r\n\
rtos# echo one  two\r\none  two\r\n\
rtos# echo \x01\x08 \x08\x02\xff\xfe\r\n\x02\xff\xfe\r\n\
rtos# flood 128\r\n\
00000000 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n\
00000001 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n\
rtos# exit 3\r\n";

/// How it ends.
pub const STATUS: u32 = 3;
