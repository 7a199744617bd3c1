//! What a typed line asks for.

use crate::rpc::Work;
use crate::{bulk, number};

/// A checked command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'l> {
    /// An empty line.
    Nothing,
    /// List the commands.
    Help,
    /// Say what this is.
    Uname,
    /// Repeat this text.
    Echo(&'l [u8]),
    /// Say how long it has been running.
    Uptime,
    /// Print that many bytes of numbered lines.
    Flood(u64),
    /// Give the next so many bytes back unchanged.
    Raw(u64),
    /// Do this by calls to the host, with what follows the command and one space.
    Call(Work, &'l [u8]),
    /// Do this with data in shared memory.
    Bulk(bulk::Work),
    /// Power off in good order with this exit status.
    Exit(u8),
    /// Fault.
    Crash,
    /// Take all memory there is.
    Hog,
    /// Stop answering.
    Hang,
    /// From now on ignore that the host wants the core off.
    Deaf,
    /// Switch the whole board off.
    Off,
    /// Reset the whole board.
    Reset,
}

/// Why a line is no command. The shell words it, without `core::fmt` and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError<'l> {
    /// There is no command of that name.
    Unknown(&'l [u8]),
    /// The argument is not a decimal number in range.
    Number {
        /// The command.
        command: &'static str,
        /// Name of the argument.
        argument: &'static str,
        /// What was typed for it.
        value: &'l [u8],
        /// Largest number allowed.
        most: u64,
    },
}

/// Reads one line, without its end.
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError<'_>> {
    let line = line.trim_ascii_start();
    let split = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (name, rest) = line.split_at(split);
    let number = |command, argument, most| {
        let value = rest.trim_ascii();
        number::parse(value, most).ok_or(CommandError::Number { command, argument, value, most })
    };
    // One space ends the name; all others are text.
    let text = rest.get(1..).unwrap_or_default();
    match name {
        b"" => Ok(Command::Nothing),
        b"help" => Ok(Command::Help),
        b"uname" => Ok(Command::Uname),
        b"echo" => Ok(Command::Echo(text)),
        b"cat" => Ok(Command::Call(Work::Cat, text)),
        b"ls" => Ok(Command::Call(Work::List, text)),
        b"write" => Ok(Command::Call(Work::Write, text)),
        b"connect" => Ok(Command::Call(Work::Connect, text)),
        b"printf" => Ok(Command::Call(Work::Print, text)),
        b"take" => Ok(Command::Bulk(bulk::Work::Take)),
        b"return" => Ok(Command::Bulk(bulk::Work::Return)),
        b"give" => number("give", "BYTES", bulk::HALF).map(|len| Command::Bulk(bulk::Work::Give(len))),
        b"uptime" => Ok(Command::Uptime),
        b"flood" => number("flood", "BYTES", u64::MAX).map(Command::Flood),
        b"raw" => number("raw", "COUNT", u64::MAX).map(Command::Raw),
        b"exit" => number("exit", "CODE", u8::MAX.into()).map(|code| Command::Exit(code as u8)),
        b"crash" => Ok(Command::Crash),
        b"hog" => Ok(Command::Hog),
        b"hang" => Ok(Command::Hang),
        b"deaf" => Ok(Command::Deaf),
        b"off" => Ok(Command::Off),
        b"reset" => Ok(Command::Reset),
        unknown => Err(CommandError::Unknown(unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_known() {
        let lines: [(&[u8], Command<'_>); 23] = [
            (b"   ", Command::Nothing),
            (b"help", Command::Help),
            (b" uname ", Command::Uname),
            (b"echo", Command::Echo(b"")),
            (b"echo  two  spaces ", Command::Echo(b" two  spaces ")),
            (b"uptime", Command::Uptime),
            (b"flood  1048576 ", Command::Flood(1_048_576)),
            (b"raw 256", Command::Raw(256)),
            (b"cat /a b", Command::Call(Work::Cat, b"/a b")),
            (b"ls", Command::Call(Work::List, b"")),
            (b"write /a b", Command::Call(Work::Write, b"/a b")),
            (b"connect 10.0.0.1 80 hi", Command::Call(Work::Connect, b"10.0.0.1 80 hi")),
            (b"printf %s ", Command::Call(Work::Print, b"%s ")),
            (b"take", Command::Bulk(bulk::Work::Take)),
            (b"return", Command::Bulk(bulk::Work::Return)),
            (b"give 1048576", Command::Bulk(bulk::Work::Give(bulk::HALF))),
            (b"exit 255", Command::Exit(255)),
            (b"crash", Command::Crash),
            (b"hog", Command::Hog),
            (b"hang", Command::Hang),
            (b"deaf", Command::Deaf),
            (b"off", Command::Off),
            (b"reset", Command::Reset),
        ];
        for (line, command) in lines {
            assert_eq!(parse(line), Ok(command), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse(b"\xfffoo bar"), Err(CommandError::Unknown(b"\xfffoo")));
        let exit = |value| CommandError::Number { command: "exit", argument: "CODE", value, most: 255 };
        assert_eq!(parse(b"exit"), Err(exit(b"")));
        assert_eq!(parse(b"exit 256"), Err(exit(b"256")));
        assert_eq!(parse(b"exit 1 2"), Err(exit(b"1 2")));
        let flood =
            CommandError::Number { command: "flood", argument: "BYTES", value: b"-1", most: u64::MAX };
        assert_eq!(parse(b"flood -1"), Err(flood));
    }
}
