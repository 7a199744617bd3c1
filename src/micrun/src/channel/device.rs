//! A console that is a device: a terminal or an RPMsg character device, whose other end belongs to somebody else.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::termios::{self, SetArg};

use crate::console::Read;
use openamp::rpmsg::PAYLOAD_LEN;

/// Far more than a message has: what a datagram has beyond the buffer is lost.
pub(super) const BUFFER_LEN: usize = 8 << 10;

/// What became of bytes that were to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// So many were taken.
    Bytes(usize),
    /// None is taken now.
    Later,
    /// There is nobody at the other end any more.
    Gone,
}

/// An open device, which never blocks.
#[derive(Debug)]
pub struct Device {
    file: File,
    /// Each read and write is a message; an empty one is none, not the end.
    datagrams: bool,
    /// Bytes that one write takes at most.
    most: usize,
}

impl Device {
    /// Opens a terminal. Bytes pass unchanged, and it does not become anybody's controlling terminal.
    pub fn terminal(path: &Path) -> io::Result<Device> {
        let device = Device { file: open(path)?, datagrams: false, most: PAYLOAD_LEN };
        let mut raw = termios::tcgetattr(&device.file)?;
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&device.file, SetArg::TCSANOW, &raw)?;
        Ok(device)
    }

    /// Opens an RPMsg endpoint. From an empty message the firmware learns where to send to; a terminal has none.
    pub fn endpoint(path: &Path) -> io::Result<Device> {
        let mut device = Device { file: open(path)?, datagrams: true, most: PAYLOAD_LEN };
        // Should there be no room, the first input tells it too.
        let _ = device.file.write(&[]);
        Ok(device)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Read {
        loop {
            return match self.file.read(bytes) {
                Ok(0) if self.datagrams => continue,
                Ok(0) => Read::End,
                Ok(len) => Read::Bytes(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Later,
                // EIO of a terminal, EPIPE of an endpoint: the other end is gone.
                Err(_) => Read::End,
            };
        }
    }

    /// Writes what fits. A full device does not say when there is room again, so ask again after a while.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Written {
        loop {
            let piece = &bytes[..bytes.len().min(self.most)];
            return match self.file.write(piece) {
                Ok(len) => Written::Bytes(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // rpmsg_tty has no other word for a ring without room.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory) => {
                    Written::Later
                }
                // Some kernels have shorter buffers.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) && self.most > 1 => {
                    self.most /= 2;
                    continue;
                }
                Err(_) => Written::Gone,
            };
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::pty::openpty;
    use nix::sys::termios::LocalFlags;

    use super::*;

    /// What the firmware prints is not its input, whoever opened the terminal before and however.
    #[test]
    fn a_terminal_of_micads_does_not_echo() {
        let pair = openpty(None, None).expect("a terminal");
        let local =
            |pair: &nix::pty::OpenptyResult| termios::tcgetattr(&pair.slave).expect("a terminal").local_flags;
        let cooked = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        assert!(local(&pair).contains(cooked), "as it was made");
        let path = nix::unistd::ttyname(&pair.slave).expect("its path");
        let mut device = Device::terminal(&path).expect("opened");
        assert!(!local(&pair).intersects(cooked));
        let mut master = File::from(pair.master);
        master.write_all(b"\x03a\r\n").expect("room");
        let mut bytes = [0; 8];
        assert!(matches!(device.read(&mut bytes), Read::Bytes(4)));
        assert_eq!(&bytes[..4], b"\x03a\r\n");
        assert_eq!(crate::sys::unread(master.as_fd()).expect("a terminal"), 0, "nothing came back");
    }
}
