//! The RTOS's numbers for `open` flags, and what `fopen` modes mean.

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Flags by their numbers on arm64 (`arch/arm64/include/uapi/asm/fcntl.h` and `asm-generic/fcntl.h` of Linux), which is
/// what firmware is built for; the host's may differ.
const FLAGS: [(i32, OFlag); 9] = [
    (0o100, OFlag::O_CREAT),
    (0o200, OFlag::O_EXCL),
    (0o1000, OFlag::O_TRUNC),
    (0o2000, OFlag::O_APPEND),
    (0o4000, OFlag::O_NONBLOCK),
    (0o10000, OFlag::O_DSYNC),
    (0o40000, OFlag::O_DIRECTORY),
    (0o100_000, OFlag::O_NOFOLLOW),
    (0o4_000_000, OFlag::O_SYNC),
];
/// `O_NOCTTY`, `O_LARGEFILE`, `O_CLOEXEC`: true or without meaning here.
const IGNORED: i32 = 0o400 | 0o400_000 | 0o2_000_000;
const ACCESS: i32 = 0o3;

/// The host's flags for the RTOS's.
pub(super) fn from_wire(wire: i32) -> nix::Result<OFlag> {
    let mut flags = match wire & ACCESS {
        0 => OFlag::O_RDONLY,
        1 => OFlag::O_WRONLY,
        2 => OFlag::O_RDWR,
        _ => return Err(Errno::EINVAL),
    };
    let mut rest = wire & !ACCESS & !IGNORED;
    for (number, flag) in FLAGS {
        if rest & number != 0 {
            flags |= flag;
            rest &= !number;
        }
    }
    if rest == 0 { Ok(flags) } else { Err(Errno::EINVAL) }
}

/// The RTOS's flags for the host's, as `fcntl(F_GETFL)` gives them.
pub(super) fn to_wire(flags: OFlag) -> i32 {
    let access = flags.bits() & libc::O_ACCMODE;
    let set = FLAGS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(number, _)| number);
    set.fold(access, |wire, number| wire | number)
}

/// What `fopen`'s mode asks for: `r`, `w` or `a`, then `+`, `b`, `e`, `x` in any order.
pub(super) fn of_mode(mode: &str) -> nix::Result<OFlag> {
    let mut letters = mode.chars();
    let first = letters.next().ok_or(Errno::EINVAL)?;
    let create = match first {
        'r' => OFlag::empty(),
        'w' => OFlag::O_CREAT | OFlag::O_TRUNC,
        'a' => OFlag::O_CREAT | OFlag::O_APPEND,
        _ => return Err(Errno::EINVAL),
    };
    let mut access = if first == 'r' { OFlag::O_RDONLY } else { OFlag::O_WRONLY };
    let mut flags = create;
    for letter in letters {
        match letter {
            '+' => access = OFlag::O_RDWR,
            'b' | 'e' | 't' => {}
            'x' => flags |= OFlag::O_EXCL,
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(flags | access)
}
