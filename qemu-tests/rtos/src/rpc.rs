//! Calls for files and sockets, over `rpmsg-rpc`: the host carries them out in the container's root file system and
//! network.
//!
//! One call is under way at a time: [`Calls`] has its request until the link sends it, then its answer. A [`Job`] is what
//! one command of the shell needs in calls. The layouts are those of MICA's rpc service.

use core::net::Ipv4Addr;

use openamp::rpmsg::PAYLOAD_LEN;

use crate::buffer::Buffer;
use crate::number::{self, Text};

const OPEN: u64 = 1;
const CLOSE: u64 = 2;
const WRITE: u64 = 3;
const READ: u64 = 4;
const ENTRIES: u64 = 9;
const CONNECT: u64 = 112;
const RECV: u64 = 114;
const SEND: u64 = 116;
const SOCKET: u64 = 120;
const PRINT: u64 = 300;
/// `AF_INET`, `SOCK_STREAM`.
const INET: u16 = 2;
const STREAM: i32 = 1;
/// Bytes of a `sockaddr_in`.
const ADDRESS_LEN: i32 = 16;
/// `EINVAL`: no address, no port.
const INVALID: i32 = 22;

/// Linux's numbers on arm64: `O_DIRECTORY`, and `O_WRONLY | O_CREAT | O_TRUNC`.
const DIRECTORY: i32 = 0o40000;
const OVERWRITE: i32 = 0o1101;
const MODE: i32 = 0o644;
/// Bytes of data in one answer.
const DATA_LEN: i32 = 432;
/// Bytes of a path, with the zero that ends it.
const PATH_LEN: usize = 128;
/// `EIO`: an answer is too short for its call.
const TOO_SHORT: i32 = 5;
/// `ENAMETOOLONG`.
const PATH_TOO_LONG: i32 = 36;

/// Requests and answers on their way between shell and link.
#[derive(Debug, Default)]
pub struct Calls {
    /// To be sent, if it is not empty.
    pub request: Buffer<PAYLOAD_LEN>,
    /// The host has said where calls go to.
    pub served: bool,
    answer: Buffer<PAYLOAD_LEN>,
    waiting: bool,
}

impl Calls {
    /// True while an answer is owed.
    pub fn waiting(&self) -> bool {
        self.waiting
    }

    /// Takes a message of the host. The first one answers nothing: it tells the host's address.
    pub fn hear(&mut self, message: &[u8]) {
        if core::mem::take(&mut self.waiting) {
            self.answer.clear();
            self.answer.extend(message);
        }
    }

    /// Has a call sent that has an answer. The four bytes behind its number are the trace id, which comes back.
    fn ask(&mut self, call: u64, fields: &[&[u8]]) {
        self.post(call, &[&[0; 4]]);
        for field in fields {
            self.request.extend(field);
        }
        self.waiting = true;
    }

    fn post(&mut self, call: u64, fields: &[&[u8]]) {
        self.request.clear();
        self.request.extend(&call.to_le_bytes());
        for field in fields {
            self.request.extend(field);
        }
    }

    /// Bytes of the answer from `at` on.
    fn field<const N: usize>(&self, at: usize) -> Result<[u8; N], i32> {
        let rest = self.answer.as_slice().get(at..).ok_or(TOO_SHORT)?;
        rest.first_chunk().copied().ok_or(TOO_SHORT)
    }

    fn int(&self, at: usize) -> Result<i32, i32> {
        self.field(at).map(i32::from_le_bytes)
    }

    fn long(&self, at: usize) -> Result<i64, i32> {
        self.field(at).map(i64::from_le_bytes)
    }

    /// The data of an answer, `len` bytes from `at` on.
    fn data(&self, at: usize, len: i64) -> Result<&[u8], i32> {
        let len = usize::try_from(len).map_err(|_| TOO_SHORT)?;
        self.answer.as_slice().get(at..).and_then(|rest| rest.get(..len)).ok_or(TOO_SHORT)
    }

    /// Fails with the number of the error, if the answer tells one.
    fn check(&self) -> Result<(), i32> {
        match self.int(12)? {
            0 => Ok(()),
            errno => Err(errno),
        }
    }
}

/// What a command does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Prints it.
    Cat,
    /// Prints the names in it.
    List,
    /// Writes it anew.
    Write,
    /// Not a file: says something to a server, and prints what that answers.
    Connect,
    /// Not a file: prints on the container's standard output, by the host.
    Print,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Cat => "cat",
            Work::List => "ls",
            Work::Write => "write",
            Work::Connect => "connect",
            Work::Print => "printf",
        }
    }
}

/// What the answer that is awaited is to.
#[derive(Clone, Copy, Debug)]
enum Step {
    Nothing,
    Open,
    Connect { fd: i32 },
    Say { fd: i32 },
    Use { fd: i32 },
    Close,
}

/// One command under way.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    work: Work,
    step: Step,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It can go on at once.
    Goes,
    /// The link has to do something.
    Waits,
    /// It is over.
    Done,
}

impl Job {
    /// Nothing was done yet.
    pub fn new(work: Work) -> Job {
        Job { work, step: Step::Nothing }
    }

    /// Does one step; `argument` is what was typed behind the command, and `out` has room for an answer's data.
    pub fn poll<const N: usize>(
        &mut self,
        argument: &[u8],
        calls: &mut Calls,
        out: &mut Buffer<N>,
    ) -> Progress {
        if !calls.served {
            print(out, &[self.work.name().as_bytes(), b": the host serves no calls\r\n"]);
            return Progress::Done;
        }
        if calls.waiting || !calls.request.is_empty() {
            return Progress::Waits;
        }
        match self.advance(argument, calls, out) {
            Ok(progress) => progress,
            Err(errno) => {
                let number = Text::decimal(errno.unsigned_abs().into());
                print(out, &[self.work.name().as_bytes(), b": error ", number.as_bytes(), b"\r\n"]);
                self.give_up(calls)
            }
        }
    }

    fn advance<const N: usize>(
        &mut self,
        argument: &[u8],
        calls: &mut Calls,
        out: &mut Buffer<N>,
    ) -> Result<Progress, i32> {
        match self.step {
            Step::Nothing if self.work == Work::Print => {
                calls.post(PRINT, &[&(argument.len() as u32 + 1).to_le_bytes(), argument, b"\n"]);
                return Ok(Progress::Done);
            }
            Step::Nothing => self.open(argument, calls)?,
            Step::Open => {
                calls.check()?;
                let fd = calls.int(16)?;
                self.step = if self.work == Work::Connect { Step::Connect { fd } } else { Step::Use { fd } };
                self.begin(fd, argument, calls)?;
            }
            Step::Connect { fd } => {
                calls.check()?;
                let (_, text) = self.server(argument)?;
                calls.ask(SEND, &[&fd.to_le_bytes(), &(text.len() as u64).to_le_bytes(), &[0; 4], text]);
                self.step = Step::Say { fd };
            }
            Step::Say { fd } => {
                calls.check()?;
                read_socket(fd, calls);
                self.step = Step::Use { fd };
            }
            Step::Use { fd } => self.go_on(fd, calls, out)?,
            Step::Close => return Ok(Progress::Done),
        }
        Ok(Progress::Goes)
    }

    fn open(&mut self, argument: &[u8], calls: &mut Calls) -> Result<(), i32> {
        let flags = match self.work {
            Work::Connect => {
                self.server(argument)?;
                calls.ask(SOCKET, &[&i32::from(INET).to_le_bytes(), &STREAM.to_le_bytes(), &[0; 4]]);
                self.step = Step::Open;
                return Ok(());
            }
            Work::List => DIRECTORY,
            Work::Write => OVERWRITE,
            Work::Cat | Work::Print => 0,
        };
        let (path, _) = self.split(argument);
        if path.len() >= PATH_LEN {
            return Err(PATH_TOO_LONG);
        }
        calls.ask(OPEN, &[&flags.to_le_bytes(), &MODE.to_le_bytes(), path, &[0]]);
        self.step = Step::Open;
        Ok(())
    }

    /// The path, and for `write` the text behind it.
    fn split(self, argument: &[u8]) -> (&[u8], &[u8]) {
        let space = argument.iter().position(|byte| *byte == b' ' && self.work == Work::Write);
        let (path, text) = argument.split_at(space.unwrap_or(argument.len()));
        (path, text.get(1..).unwrap_or_default())
    }

    /// Address and port of a server, as `sockaddr_in`, and what to say to it.
    fn server(self, argument: &[u8]) -> Result<([u8; ADDRESS_LEN as usize], &[u8]), i32> {
        let mut words = argument.splitn(3, |byte| *byte == b' ');
        let host = words
            .next()
            .and_then(|host| core::str::from_utf8(host).ok()?.parse::<Ipv4Addr>().ok())
            .ok_or(INVALID)?;
        let port = words.next().and_then(|port| number::parse(port, u16::MAX.into())).ok_or(INVALID)?;
        let mut address = [0; ADDRESS_LEN as usize];
        address[..2].copy_from_slice(&INET.to_le_bytes());
        address[2..4].copy_from_slice(&(port as u16).to_be_bytes());
        address[4..8].copy_from_slice(&host.octets());
        Ok((address, words.next().unwrap_or_default()))
    }

    fn begin(self, fd: i32, argument: &[u8], calls: &mut Calls) -> Result<(), i32> {
        match self.work {
            Work::Cat | Work::Print => read(fd, calls),
            Work::Connect => {
                let (address, _) = self.server(argument)?;
                calls.ask(CONNECT, &[&fd.to_le_bytes(), &ADDRESS_LEN.to_le_bytes(), &address]);
            }
            Work::List => list(fd, 0, calls),
            Work::Write => {
                let (_, text) = self.split(argument);
                calls.ask(WRITE, &[&fd.to_le_bytes(), &(text.len() as u32).to_le_bytes(), text]);
            }
        }
        Ok(())
    }

    fn go_on<const N: usize>(&mut self, fd: i32, calls: &mut Calls, out: &mut Buffer<N>) -> Result<(), i32> {
        calls.check()?;
        let more = match self.work {
            Work::Cat | Work::Print | Work::Connect => {
                let data = calls.data(24, calls.long(16)?)?;
                out.extend(data);
                !data.is_empty()
            }
            Work::List => {
                let data = calls.data(28, calls.int(24)?.into())?;
                print_names(data, out);
                !data.is_empty()
            }
            Work::Write => false,
        };
        match self.work {
            Work::List if more => list(fd, calls.long(16)?, calls),
            Work::Connect if more => read_socket(fd, calls),
            _ if more => read(fd, calls),
            _ => self.close(fd, calls),
        }
        Ok(())
    }

    fn close(&mut self, fd: i32, calls: &mut Calls) {
        calls.ask(CLOSE, &[&fd.to_le_bytes()]);
        self.step = Step::Close;
    }

    /// Closes what is open.
    fn give_up(&mut self, calls: &mut Calls) -> Progress {
        match self.step {
            Step::Connect { fd } | Step::Say { fd } | Step::Use { fd } => {
                self.close(fd, calls);
                Progress::Goes
            }
            _ => Progress::Done,
        }
    }
}

fn read(fd: i32, calls: &mut Calls) {
    calls.ask(READ, &[&fd.to_le_bytes(), &DATA_LEN.to_le_bytes()]);
}

fn read_socket(fd: i32, calls: &mut Calls) {
    calls.ask(RECV, &[&fd.to_le_bytes(), &[0; 8], &u64::from(DATA_LEN.unsigned_abs()).to_le_bytes()]);
}

fn list(fd: i32, position: i64, calls: &mut Calls) {
    calls.ask(ENTRIES, &[&DATA_LEN.to_le_bytes(), &position.to_le_bytes(), &fd.to_le_bytes()]);
}

/// The names in Linux's `linux_dirent64` entries: the length of an entry is at 16, its name at 19.
fn print_names<const N: usize>(mut entries: &[u8], out: &mut Buffer<N>) {
    while let Some(&[low, high]) = entries.get(16..18) {
        let len = usize::from(u16::from_le_bytes([low, high])).max(1);
        let (entry, rest) = entries.split_at(len.min(entries.len()));
        let name = entry.get(19..).unwrap_or_default();
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        match name.get(..end).unwrap_or_default() {
            b"." | b".." => {}
            name => print(out, &[name, b"\r\n"]),
        }
        entries = rest;
    }
}

fn print<const N: usize>(out: &mut Buffer<N>, parts: &[&[u8]]) {
    for part in parts {
        out.extend(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one job against `answers`; gives the requests and what was printed.
    fn run(work: Work, argument: &[u8], answers: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut job, mut calls) = (Job::new(work), Calls { served: true, ..Calls::default() });
        let (mut asked, mut answers, mut out) = (Vec::new(), answers.iter(), Buffer::<1024>::new());
        // The first message answers nothing.
        calls.hear(b"first message");
        while job.poll(argument, &mut calls, &mut out) != Progress::Done {
            if !calls.request.is_empty() {
                asked.push(calls.request.as_slice().to_vec());
                calls.request.clear();
                calls.hear(answers.next().expect("one answer more than there is"));
            }
        }
        (asked, out.as_slice().to_vec())
    }

    /// An answer: error number, and what follows it.
    fn answer(errno: i32, fields: &[&[u8]]) -> Vec<u8> {
        [&[0; 12][..], &errno.to_le_bytes(), &fields.concat()].concat()
    }

    fn opened() -> Vec<u8> {
        answer(0, &[&7_i32.to_le_bytes()])
    }

    #[test]
    fn a_file_is_read_to_its_end_and_closed() {
        let data = answer(0, &[&5_i64.to_le_bytes(), b"hello"]);
        let answers = [opened(), data, answer(0, &[&[0; 8]]), answer(0, &[&[0; 4]])];
        let (asked, printed) = run(Work::Cat, b"/etc/a b", &answers);
        assert_eq!(printed, b"hello");
        assert!(asked[0].ends_with(b"/etc/a b\0"));
        assert_eq!(asked.iter().map(|request| request[0]).collect::<Vec<_>>(), [1, 4, 4, 2]);
        assert_eq!(asked[1][12..], [&7_i32.to_le_bytes()[..], &432_i32.to_le_bytes()].concat());
    }

    #[test]
    fn text_is_written_behind_the_path() {
        let answers = [opened(), answer(0, &[&6_i64.to_le_bytes()]), answer(0, &[&[0; 4]])];
        let (asked, printed) = run(Work::Write, b"/a one two", &answers);
        assert!(asked[0].ends_with(b"/a\0") && asked[1].ends_with(b"\x07\0\0\0\x07\0\0\0one two"));
        assert_eq!((asked.len(), printed.len()), (3, 0));
    }

    #[test]
    fn a_server_is_asked_and_its_answer_printed() {
        let done = || answer(0, &[&[0; 4]]);
        let data = answer(0, &[&3_i64.to_le_bytes(), b"yes"]);
        let answers = [opened(), done(), answer(0, &[&[0; 8]]), data, answer(0, &[&[0; 8]]), done()];
        let (asked, printed) = run(Work::Connect, b"10.0.2.15 8080 are you there", &answers);
        assert_eq!(printed, b"yes");
        assert_eq!(asked.iter().map(|request| request[0]).collect::<Vec<_>>(), [120, 112, 116, 114, 114, 2]);
        assert_eq!(asked[1][12..], *b"\x07\0\0\0\x10\0\0\0\x02\0\x1f\x90\x0a\0\x02\x0f\0\0\0\0\0\0\0\0");
        assert_eq!(asked[2][12..], *b"\x07\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0are you there");
        for wrong in [&b""[..], b"10.0.2.15", b"host 80", b"10.0.2.15 65536"] {
            let (asked, printed) = run(Work::Connect, wrong, &[]);
            assert_eq!((asked.len(), &printed[..]), (0, &b"connect: error 22\r\n"[..]));
        }
    }

    #[test]
    fn names_are_listed() {
        let entry = |name: &[u8], len: u16| {
            let mut entry = [&[0; 16][..], &len.to_le_bytes(), &[8], name].concat();
            entry.resize(len.into(), 0);
            entry
        };
        let entries = [entry(b".", 24), entry(b"name", 32)].concat();
        let listed = answer(0, &[&9_i64.to_le_bytes(), &(entries.len() as i32).to_le_bytes(), &entries]);
        let answers = [opened(), listed, answer(0, &[&[0; 12]]), answer(0, &[&[0; 4]])];
        let (asked, printed) = run(Work::List, b"/", &answers);
        assert_eq!(printed, b"name\r\n");
        assert_eq!(asked[2][16..24], 9_i64.to_le_bytes());
    }

    #[test]
    fn errors_are_told_and_what_is_open_is_closed() {
        let (asked, printed) = run(Work::Cat, b"/a", &[answer(2, &[&[0xff; 4]])]);
        assert_eq!((asked.len(), &printed[..]), (1, &b"cat: error 2\r\n"[..]));
        let answers = [opened(), answer(21, &[&[0xff; 8]]), answer(0, &[&[0; 4]])];
        let (asked, printed) = run(Work::Cat, b"/a", &answers);
        assert_eq!((asked.len(), &printed[..]), (3, &b"cat: error 21\r\n"[..]));
        let (asked, printed) = run(Work::Cat, &[b'x'; 128], &[]);
        assert_eq!((asked.len(), &printed[..]), (0, &b"cat: error 36\r\n"[..]));
        let (_, printed) = run(Work::List, b"/", &[Vec::new()]);
        assert_eq!(printed, b"ls: error 5\r\n");
    }

    #[test]
    fn printing_has_no_answer() {
        let (mut job, mut calls) = (Job::new(Work::Print), Calls { served: true, ..Calls::default() });
        assert_eq!(job.poll(b"hi", &mut calls, &mut Buffer::<64>::new()), Progress::Done);
        assert_eq!(calls.request.as_slice(), b"\x2c\x01\0\0\0\0\0\0\x03\0\0\0hi\n");
        assert!(!calls.waiting());
        // The next one waits until this one is sent.
        assert_eq!(Job::new(Work::Cat).poll(b"", &mut calls, &mut Buffer::<64>::new()), Progress::Waits);
    }

    #[test]
    fn without_a_host_that_serves_nothing_waits() {
        let (mut out, mut calls) = (Buffer::<64>::new(), Calls::default());
        assert_eq!(Job::new(Work::Cat).poll(b"/a", &mut calls, &mut out), Progress::Done);
        assert_eq!(out.as_slice(), b"cat: the host serves no calls\r\n");
    }
}
