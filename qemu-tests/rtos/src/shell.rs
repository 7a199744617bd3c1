//! The shell on `rpmsg-tty`, as a machine that can stop after any byte when the link has no room.

use openamp::rpmsg::PAYLOAD_LEN;
use shmem::Memory;

use crate::buffer::Buffer;
use crate::bulk::{self, Bulk};
use crate::command::{self, Command, CommandError};
use crate::flood::Flood;
use crate::line::{LINE_LEN, Line, Pressed};
use crate::number::Text;
use crate::rpc::{Calls, Job, Progress};

/// What is printed when a line may be typed.
pub const PROMPT: &str = "rtos# ";
/// What `help` prints.
pub const HELP: &str = "\
help         this list\r\n\
uname        name and version\r\n\
echo TEXT    print TEXT\r\n\
uptime       time since start\r\n\
flood BYTES  print BYTES bytes of numbered lines\r\n\
raw COUNT    give the next COUNT bytes back unchanged\r\n\
cat PATH     print a file\r\n\
ls PATH      list a directory\r\n\
write PATH TEXT  write TEXT to a file\r\n\
connect IP PORT TEXT  say TEXT to a server, print its answer\r\n\
printf TEXT  have the host print TEXT\r\n\
take         wait for a bulk message and describe it\r\n\
return       wait for a bulk message and send it back\r\n\
give BYTES   send BYTES bytes of numbered lines in bulk\r\n\
exit CODE    power off with exit status CODE\r\n\
crash        cause a fault\r\n\
hog          take all memory of the board\r\n\
hang         stop answering\r\n\
deaf         ignore requests to power off\r\n\
off          switch the board off\r\n\
reset        reset the board\r\n";

const NAME: &str = concat!("micrun test RTOS ", env!("CARGO_PKG_VERSION"));
/// Room for the longest answer: `help`, or a refused line with what is said about it.
const REPLY_LEN: usize = 1280;
const _: () = assert!(HELP.len() + 16 <= REPLY_LEN && LINE_LEN + 128 <= REPLY_LEN);

/// Bytes from the host that the shell has not read yet: one message, and one more while that is read.
pub type Input = Buffer<{ 2 * PAYLOAD_LEN }>;
/// The message being filled for the host.
pub type Output = Buffer<PAYLOAD_LEN>;

/// What the shell cannot do itself. All output before it must be sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Power off in good order with this exit status.
    Exit(u8),
    /// Cause a fault.
    Crash,
    /// Take all memory there is.
    Hog,
    /// Stop answering.
    Hang,
    /// Switch the whole board off, without a word to the host.
    Off,
    /// Reset the whole board, without a word to the host.
    Reset,
}

/// What the shell does with its next byte.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Line,
    Flood(Flood),
    Raw { left: u64 },
    Job(Job),
    Bulk(bulk::Work),
    Ended(Action),
}

/// One session.
#[derive(Debug)]
pub struct Shell {
    line: Line,
    reply: Buffer<REPLY_LEN>,
    mode: Mode,
    /// What a job is about.
    argument: Buffer<LINE_LEN>,
    /// Requests to power off are to be ignored.
    pub deaf: bool,
}

impl Shell {
    /// A shell that has printed banner and prompt; `cpu` is the number of the core it runs on.
    pub fn new(cpu: u64) -> Shell {
        let mut shell = Shell {
            line: Line::default(),
            reply: Buffer::new(),
            mode: Mode::Line,
            argument: Buffer::new(),
            deaf: false,
        };
        shell.print(&[NAME.as_bytes(), b" on CPU ", Text::decimal(cpu).as_bytes(), b"\r\n"]);
        shell.prompt();
        shell
    }

    /// Goes on until `input` is used up, `output` is full, a call or a bulk message is under way or an action is due.
    /// `uptime` is in tenths of a second.
    pub fn poll(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        calls: &mut Calls,
        bulk: &mut Bulk<impl Memory>,
        uptime: u64,
    ) -> Option<Action> {
        loop {
            if !self.reply.move_to(output) {
                return None;
            }
            match &mut self.mode {
                Mode::Line => self.press(input.pop_front()?, uptime),
                Mode::Flood(flood) => {
                    if !flood.fill(output) {
                        return None;
                    }
                    self.next_line();
                }
                Mode::Raw { left: 0 } => self.next_line(),
                Mode::Raw { .. } if output.room() == 0 => return None,
                Mode::Raw { left } => {
                    let byte = input.pop_front()?;
                    if !self.line.completes_crlf(byte) {
                        output.push(byte);
                        *left -= 1;
                    }
                }
                Mode::Job(job) => match job.poll(self.argument.as_slice(), calls, &mut self.reply) {
                    Progress::Goes => {}
                    Progress::Waits => return None,
                    Progress::Done => self.next_line(),
                },
                Mode::Bulk(work) => match bulk.poll(*work, &mut self.reply) {
                    Progress::Done => self.next_line(),
                    Progress::Goes | Progress::Waits => return None,
                },
                Mode::Ended(action) => return Some(*action),
            }
        }
    }

    fn press(&mut self, byte: u8, uptime: u64) {
        if self.line.completes_crlf(byte) {
            return;
        }
        match self.line.press(byte, &mut self.reply) {
            Pressed::Editing => {}
            Pressed::Cancelled => self.prompt(),
            Pressed::Ended => {
                self.mode = match command::parse(self.line.text()) {
                    Ok(Command::Call(work, argument)) => {
                        self.argument.clear();
                        self.argument.extend(argument);
                        Mode::Job(Job::new(work))
                    }
                    Ok(command) => {
                        self.deaf |= command == Command::Deaf;
                        answer(command, uptime, &mut self.reply)
                    }
                    Err(error) => refuse(error, &mut self.reply),
                };
                self.line.clear();
                if matches!(self.mode, Mode::Line) {
                    self.prompt();
                }
            }
        }
    }

    fn next_line(&mut self) {
        self.mode = Mode::Line;
        self.prompt();
    }

    fn prompt(&mut self) {
        self.print(&[PROMPT.as_bytes()]);
    }

    fn print(&mut self, parts: &[&[u8]]) {
        print(&mut self.reply, parts);
    }
}

fn answer(command: Command<'_>, uptime: u64, reply: &mut Buffer<REPLY_LEN>) -> Mode {
    match command {
        Command::Nothing | Command::Call(..) | Command::Deaf => {}
        Command::Help => print(reply, &[HELP.as_bytes()]),
        Command::Uname => print(reply, &[NAME.as_bytes(), b" aarch64\r\n"]),
        Command::Echo(text) => print(reply, &[text, b"\r\n"]),
        Command::Uptime => {
            let (seconds, tenths) = (Text::decimal(uptime / 10), Text::decimal(uptime % 10));
            print(reply, &[b"up ", seconds.as_bytes(), b".", tenths.as_bytes(), b" s\r\n"]);
        }
        Command::Flood(len) => return Mode::Flood(Flood::new(len)),
        Command::Raw(left) => return Mode::Raw { left },
        Command::Bulk(work) => return Mode::Bulk(work),
        Command::Exit(code) => return Mode::Ended(Action::Exit(code)),
        Command::Crash => return Mode::Ended(Action::Crash),
        Command::Hog => return Mode::Ended(Action::Hog),
        Command::Hang => return Mode::Ended(Action::Hang),
        Command::Off => return Mode::Ended(Action::Off),
        Command::Reset => return Mode::Ended(Action::Reset),
    }
    Mode::Line
}

fn refuse(error: CommandError<'_>, reply: &mut Buffer<REPLY_LEN>) -> Mode {
    match error {
        CommandError::Unknown(name) => print(reply, &[name, b": unknown command, try help\r\n"]),
        CommandError::Number { command, argument, value, most } => {
            let (command, argument, most) = (command.as_bytes(), argument.as_bytes(), Text::decimal(most));
            let limits = [b"\", a number from 0 to ", most.as_bytes(), b" is needed\r\n"];
            print(reply, &[command, b": ", argument, b" is \"", value]);
            print(reply, &limits);
        }
    }
    Mode::Line
}

fn print(reply: &mut Buffer<REPLY_LEN>, parts: &[&[u8]]) {
    for part in parts {
        reply.extend(part);
    }
}

#[cfg(test)]
mod tests {
    use shmem::Window;

    use super::*;

    /// A host that has told of no window.
    fn no_bulk() -> Bulk<Window<'static>> {
        Bulk::new(bulk::tests::memory(), 0)
    }

    /// Types `typed` into a new shell, as the link would; gives what it printed after the banner and its action.
    fn session(typed: &[u8]) -> (Vec<u8>, Option<Action>) {
        let (mut shell, mut rest) = (Shell::new(1), typed);
        let (mut input, mut output, mut printed) = (Input::new(), Output::new(), Vec::new());
        let (mut calls, mut bulk) = (Calls::default(), no_bulk());
        loop {
            let taken = input.extend(rest);
            rest = &rest[taken..];
            let action = shell.poll(&mut input, &mut output, &mut calls, &mut bulk, 123);
            let idle = output.is_empty() && rest.is_empty();
            printed.extend_from_slice(output.as_slice());
            output.clear();
            if action.is_some() || idle {
                let banner = format!("{NAME} on CPU 1\r\n{PROMPT}");
                let answer = printed.strip_prefix(banner.as_bytes()).expect("the banner comes first");
                return (answer.to_vec(), action);
            }
        }
    }

    /// The same for a session of text without an action.
    fn text(typed: &str) -> String {
        let (printed, action) = session(typed.as_bytes());
        assert_eq!(action, None);
        String::from_utf8(printed).expect("text")
    }

    #[test]
    fn answers_follow_the_echo_and_end_in_a_prompt() {
        assert_eq!(text("echo  a b\r"), "echo  a b\r\n a b\r\nrtos# ");
        assert_eq!(text("uptime\n"), "uptime\r\nup 12.3 s\r\nrtos# ");
        assert_eq!(text("help\r"), format!("help\r\n{HELP}rtos# "));
        assert_eq!(text("\r\n\n"), "\r\nrtos# \r\nrtos# ");
        assert_eq!(text("xy\x03"), "xy^C\r\nrtos# ");
        assert!(text("uname\r").contains("micrun test RTOS"));
    }

    #[test]
    fn a_bad_line_says_what_would_be_right() {
        assert_eq!(text("frob 1\r"), "frob 1\r\nfrob: unknown command, try help\r\nrtos# ");
        assert_eq!(
            text("exit 256\r"),
            "exit 256\r\nexit: CODE is \"256\", a number from 0 to 255 is needed\r\nrtos# "
        );
    }

    #[test]
    fn a_call_that_nobody_serves_ends_in_a_prompt() {
        assert_eq!(text("cat /a\recho b\r").matches("rtos# ").count(), 2);
        assert!(text("ls /\r").contains("ls: the host serves no calls\r\n"));
    }

    #[test]
    fn bulk_data_without_a_window_is_a_line() {
        assert_eq!(text("take\r"), "take\r\nthe host has no window\r\nrtos# ");
        assert!(text("give 1048577\r").contains("a number from 0 to 1048576 is needed"));
    }

    #[test]
    fn the_longest_bad_line_is_answered_whole() {
        let name = "x".repeat(LINE_LEN);
        assert!(
            text(&format!("{name}\r")).ends_with(&format!("{name}: unknown command, try help\r\nrtos# "))
        );
    }

    #[test]
    fn flood_is_exact_and_ends_in_a_prompt() {
        let printed = text("flood 100000\r");
        let stream = printed.strip_prefix("flood 100000\r\n").expect("the echo");
        let stream = stream.strip_suffix("rtos# ").expect("a prompt");
        assert_eq!(stream.len(), 100_000);
        let numbers = stream.split("\r\n").map(|line| line.get(..8).unwrap_or("").parse::<usize>());
        assert!(numbers.enumerate().take(1562).all(|(index, number)| number == Ok(index)));
        assert_eq!(text("flood 0\r"), "flood 0\r\nrtos# ");
    }

    #[test]
    fn flood_fills_whole_messages() {
        let (mut shell, mut input, mut output) = (Shell::new(1), Input::new(), Output::new());
        input.extend(b"flood 2000\r");
        for _ in 0..3 {
            assert_eq!(shell.poll(&mut input, &mut output, &mut Calls::default(), &mut no_bulk(), 0), None);
            assert_eq!(output.room(), 0);
            output.clear();
        }
    }

    #[test]
    fn raw_gives_every_byte_back_and_only_that_many() {
        let all: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let typed = [&b"raw 3000\r\n"[..], &all, b"echo x\r"].concat();
        let expected = [&b"raw 3000\r\n"[..], &all, b"rtos# echo x\r\nx\r\nrtos# "].concat();
        assert_eq!(session(&typed), (expected, None));
        assert_eq!(text("raw 1\n\n"), "raw 1\r\n\nrtos# ");
        assert_eq!(text("raw 0\r"), "raw 0\r\nrtos# ");
    }

    #[test]
    fn an_action_comes_after_all_output() {
        assert_eq!(session(b"exit 3\rjunk"), (b"exit 3\r\n".to_vec(), Some(Action::Exit(3))));
        assert_eq!(session(b"crash\r").1, Some(Action::Crash));
        assert_eq!(session(b"hog\r").1, Some(Action::Hog));
        assert_eq!(session(b"hang\r").1, Some(Action::Hang));
        assert_eq!(session(b"off\r").1, Some(Action::Off));
        assert_eq!(session(b"reset\r").1, Some(Action::Reset));
    }
}
