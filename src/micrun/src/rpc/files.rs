//! The RTOS's open files: descriptors and streams are numbers of ours, never the host's.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::root::Root;
use super::sockets::{Socket, attempt};
use super::waiting::Wait;
use crate::vec_map::VecMap;

/// Most files that one RTOS has open.
const MOST: usize = 64;
/// The first descriptor that is not a standard stream.
const FIRST: i32 = 3;
/// The RTOS's streams for standard input, output and error.
pub(super) const STDIN: u64 = 1;
const STDOUT: u64 = 2;
const STDERR: u64 = 3;
/// Bytes that can be pushed back: one character, in the longest form that UTF-8 has.
const PUSHED: usize = 4;

/// A stream over a descriptor.
#[derive(Debug, Default)]
pub(super) struct Stream {
    fd: i32,
    /// Bytes that were pushed back; the last one is read first.
    pushed: Vec<u8>,
    pub(super) eof: bool,
    pub(super) error: bool,
}

impl Stream {
    /// How many bytes were pushed back.
    pub(super) fn pushed_len(&self) -> usize {
        self.pushed.len()
    }
}

/// All that is open.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) root: Root,
    open: VecMap<i32, File>,
    streams: VecMap<u64, Stream>,
    next_stream: u64,
    printed: Vec<u8>,
    /// Those of the open files that are sockets.
    sockets: VecMap<i32, Socket>,
    /// Calls that reach the network are carried out.
    pub(super) network: bool,
    /// The call under way may wait, or its time is over.
    pub(super) patient: bool,
    /// What the call under way waits for.
    pub(super) wait: Option<Wait>,
}

/// True for what is printed on the console when it is written.
pub(super) fn is_console(handle: u64) -> bool {
    handle == STDOUT || handle == STDERR
}

impl Files {
    pub(super) fn new(root: Root, network: bool) -> Files {
        Files {
            root,
            open: VecMap::default(),
            streams: VecMap::default(),
            next_stream: STDERR + 1,
            printed: Vec::new(),
            sockets: VecMap::default(),
            network,
            patient: true,
            wait: None,
        }
    }

    /// Has the call under way wait, if it may; gives its error.
    pub(super) fn wait_for(&mut self, polled: Vec<(i32, PollFlags)>, timeout: Option<Duration>) -> Errno {
        self.wait = self.patient.then(|| Wait::new(polled, timeout));
        Errno::EAGAIN
    }

    /// `fd` is a socket.
    pub(super) fn set_socket(&mut self, fd: i32, socket: Socket) {
        self.sockets.insert(fd, socket);
    }

    /// What is known of a socket.
    pub(super) fn socket(&self, fd: i32) -> nix::Result<Socket> {
        self.get(fd)?;
        self.sockets.get(fd).copied().ok_or(Errno::ENOTSOCK)
    }

    /// The host's socket.
    pub(super) fn socket_file(&self, fd: i32) -> nix::Result<&File> {
        self.socket(fd).and_then(|_| self.get(fd))
    }

    /// The limit that a socket's option stands for, if it is one of these.
    pub(super) fn time_limit(
        &mut self,
        fd: i32,
        level: i32,
        name: i32,
    ) -> nix::Result<Option<&mut Option<Duration>>> {
        self.socket(fd)?;
        Ok(self.sockets.get_mut(fd).and_then(|socket| socket.time_limit(level, name)))
    }

    /// Whether calls on a socket wait from now on.
    pub(super) fn set_blocking(&mut self, fd: i32, blocking: bool) -> nix::Result<()> {
        let mut socket = self.socket(fd)?;
        socket.blocking = blocking;
        self.set_socket(fd, socket);
        Ok(())
    }

    /// A descriptor for `file`.
    pub(super) fn add(&mut self, file: File) -> nix::Result<i32> {
        // At most `MOST` numbers are taken, so one of the next is free.
        let mut free = (FIRST..).take(MOST).filter(|fd| self.open.get(*fd).is_none());
        let fd = free.next().ok_or(Errno::EMFILE)?;
        self.open.insert(fd, file);
        Ok(fd)
    }

    /// `file` under the number `fd`, whatever had it before.
    pub(super) fn put(&mut self, fd: i32, file: File) -> nix::Result<()> {
        let range = FIRST..FIRST + MOST as i32;
        if !range.contains(&fd) {
            return Err(Errno::EBADF);
        }
        self.sockets.remove(fd);
        self.open.insert(fd, file);
        Ok(())
    }

    pub(super) fn get(&self, fd: i32) -> nix::Result<&File> {
        self.open.get(fd).ok_or(Errno::EBADF)
    }

    pub(super) fn close(&mut self, fd: i32) -> nix::Result<()> {
        self.sockets.remove(fd);
        self.open.remove(fd).map(drop).ok_or(Errno::EBADF)
    }

    /// Writes to a descriptor; 1 and 2 are the console.
    pub(super) fn write(&mut self, fd: i32, bytes: &[u8]) -> nix::Result<usize> {
        if matches!(fd, 1 | 2) {
            return Ok(self.print(bytes));
        }
        let write = |mut file: &File| file.write(bytes).map_err(|error| errno(&error));
        match self.socket(fd) {
            Ok(_) => attempt(self, fd, PollFlags::POLLOUT, true, write),
            Err(_) => write(self.get(fd)?),
        }
    }

    /// Reads at most `count` bytes from a descriptor; standard input has none.
    pub(super) fn read(&mut self, fd: i32, count: usize) -> nix::Result<Vec<u8>> {
        let mut bytes = vec![0; if fd == 0 { 0 } else { count }];
        if fd != 0 {
            let mut read = |mut file: &File| file.read(&mut bytes).map_err(|error| errno(&error));
            let len = match self.socket(fd) {
                Ok(_) => attempt(self, fd, PollFlags::POLLIN, true, read),
                Err(_) => read(self.get(fd)?),
            }?;
            bytes.truncate(len);
        }
        Ok(bytes)
    }

    /// A stream over a descriptor of its own.
    pub(super) fn add_file_stream(&mut self, file: File) -> nix::Result<u64> {
        let fd = self.add(file)?;
        self.add_stream(fd).or_else(|errno| self.close(fd).and(Err(errno)))
    }

    /// A stream over the descriptor `fd`.
    pub(super) fn add_stream(&mut self, fd: i32) -> nix::Result<u64> {
        self.get(fd)?;
        // What a stream has read of a line that is not whole would be lost.
        if self.socket(fd).is_ok() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.streams.len() >= MOST {
            return Err(Errno::EMFILE);
        }
        let handle = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(handle, Stream { fd, ..Stream::default() });
        Ok(handle)
    }

    pub(super) fn stream(&mut self, handle: u64) -> nix::Result<&mut Stream> {
        self.streams.get_mut(handle).ok_or(Errno::EBADF)
    }

    /// The descriptor of a stream.
    pub(super) fn fd_of(&self, handle: u64) -> nix::Result<i32> {
        match handle {
            STDIN | STDOUT | STDERR => Ok((handle - STDIN) as i32),
            _ => self.streams.get(handle).map(|stream| stream.fd).ok_or(Errno::EBADF),
        }
    }

    /// Closes a stream and its descriptor.
    pub(super) fn close_stream(&mut self, handle: u64) -> nix::Result<()> {
        let stream = self.streams.remove(handle).ok_or(Errno::EBADF)?;
        self.close(stream.fd)
    }

    /// Gives a stream another descriptor and forgets what it knew.
    pub(super) fn redirect(&mut self, handle: u64, fd: i32) -> nix::Result<()> {
        let old = std::mem::replace(self.stream(handle)?, Stream { fd, ..Stream::default() });
        self.close(old.fd)
    }

    /// Reads from a stream until `count` bytes are there, the file ends, or an error comes.
    pub(super) fn read_stream(&mut self, handle: u64, count: usize) -> nix::Result<Vec<u8>> {
        if handle == STDIN {
            return Ok(Vec::new());
        }
        let mut bytes = Vec::with_capacity(count);
        let stream = self.stream(handle)?;
        while bytes.len() < count
            && let Some(byte) = stream.pushed.pop()
        {
            bytes.push(byte);
        }
        while bytes.len() < count {
            let fd = self.fd_of(handle)?;
            match self.read(fd, count - bytes.len()) {
                Ok(more) if more.is_empty() => {
                    self.stream(handle)?.eof = true;
                    break;
                }
                Ok(more) => bytes.extend_from_slice(&more),
                Err(errno) => {
                    self.stream(handle)?.error = true;
                    return if bytes.is_empty() { Err(errno) } else { Ok(bytes) };
                }
            }
        }
        Ok(bytes)
    }

    /// Writes all of `bytes` to a stream.
    pub(super) fn write_stream(&mut self, handle: u64, bytes: &[u8]) -> nix::Result<()> {
        if is_console(handle) {
            self.print(bytes);
            return Ok(());
        }
        let fd = self.fd_of(handle)?;
        let mut file = self.get(fd)?;
        let written = file.write_all(bytes).map_err(|error| errno(&error));
        self.stream(handle)?.error |= written.is_err();
        written
    }

    /// Pushes bytes back, to be read next.
    pub(super) fn push_back(&mut self, handle: u64, bytes: &[u8]) -> nix::Result<()> {
        let stream = self.stream(handle)?;
        if stream.pushed.len() + bytes.len() > PUSHED {
            return Err(Errno::ENOSPC);
        }
        stream.pushed.extend(bytes.iter().rev());
        stream.eof = false;
        Ok(())
    }

    /// Forgets what was pushed back; how many bytes it was.
    pub(super) fn forget_pushed(&mut self, handle: u64) -> nix::Result<usize> {
        let stream = self.stream(handle)?;
        stream.eof = false;
        Ok(std::mem::take(&mut stream.pushed).len())
    }

    /// Prints on the console; how many bytes it was.
    pub(super) fn print(&mut self, bytes: &[u8]) -> usize {
        self.printed.extend_from_slice(bytes);
        bytes.len()
    }

    /// What was printed since the last time.
    pub(super) fn take_printed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.printed)
    }
}

/// The number of an error; those that the system has none for are general.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
