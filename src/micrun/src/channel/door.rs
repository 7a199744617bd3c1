//! Unix sockets in the bundle: how a user reaches what is neither console nor files.
//!
//! Only the shim's own user may connect. A door has one client; the next one takes the place of the one before.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};

/// The doors of one container. They come and go, but all are waited for by one descriptor.
pub(super) struct Doors {
    bundle: PathBuf,
    epoll: Epoll,
}

impl Doors {
    pub(super) fn new(bundle: &Path) -> nix::Result<Doors> {
        Ok(Doors { bundle: bundle.to_owned(), epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    /// Makes the socket `name` in the bundle.
    pub(super) fn open(&self, name: &str) -> nix::Result<Door> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let bundle = nix::fcntl::open(&self.bundle, flags, Mode::empty())?;
        // The path of a bundle may be longer than an address can be.
        let address = UnixAddr::new(format!("/proc/self/fd/{}/{name}", bundle.as_raw_fd()).as_str())?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        // The file takes its mode from the socket.
        fchmod(&listener, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(listener.as_raw_fd(), &address)?;
        let door = Door { listener: listener.into(), client: None, path: self.bundle.join(name) };
        listen(&door.listener, Backlog::new(1)?)?;
        self.watch(door.listener.as_fd())?;
        Ok(door)
    }

    /// Readable when there is something to do at a door.
    pub(super) fn pollable(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// True if something has come to a door since the last call.
    pub(super) fn rang(&self) -> bool {
        self.epoll.wait(&mut [EpollEvent::empty(); 8], EpollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    fn watch(&self, descriptor: BorrowedFd<'_>) -> nix::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll.add(descriptor, EpollEvent::new(flags, 0))
    }
}

/// One socket, which goes with this value.
pub(super) struct Door {
    listener: UnixListener,
    client: Option<UnixStream>,
    path: PathBuf,
}

impl Door {
    /// Lets in whoever waits; true if somebody did.
    pub(super) fn answer(&mut self, doors: &Doors) -> bool {
        let mut answered = false;
        while let Ok((client, _)) = self.listener.accept() {
            let watched = client.set_nonblocking(true).is_ok() && doors.watch(client.as_fd()).is_ok();
            self.client = watched.then_some(client);
            answered = true;
        }
        answered
    }

    pub(super) fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// What the client has sent, into a buffer that is not empty; 0 if there is nothing now.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> usize {
        let Some(client) = &mut self.client else { return 0 };
        match client.read(bytes) {
            Ok(len) if len > 0 => len,
            Err(error) if waits(&error) => 0,
            _ => self.lose(),
        }
    }

    /// How many of the bytes the client takes now; none if there is no client.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(client) = &mut self.client else { return 0 };
        match client.write(bytes) {
            Ok(len) => len,
            Err(error) if waits(&error) => 0,
            Err(_) => self.lose(),
        }
    }

    /// Ends the client, or notes that it has gone.
    pub(super) fn lose(&mut self) -> usize {
        self.client = None;
        0
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may be gone with the whole bundle.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn waits(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
