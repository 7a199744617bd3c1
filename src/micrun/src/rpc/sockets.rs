//! Calls on sockets: TCP and UDP, where the container's network was asked for.
//!
//! The host's sockets never wait: a call that would is put aside ([`super::waiting`]).

use std::fs::File;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    self, AddressFamily, Backlog, MsgFlags, Shutdown, SockFlag, SockProtocol, SockType, SockaddrStorage,
};

use super::address::{INET, INET6, decode, encode};
use super::files::{Files, errno};
use super::wire::{DATA_LEN, Request, data, int, long};
use crate::sys;

type Answer = nix::Result<Vec<u8>>;

/// Bits of a socket's type, by their numbers on arm64.
const NONBLOCK: i32 = 0o4000;
const CLOEXEC: i32 = 0o2_000_000;
/// Fields of `accept`'s answer without the address.
const ACCEPT_LEN: usize = 436;
/// Room for an address and for data in the answer to `recvfrom`.
const FROM_LEN: usize = 128;
const FROM_DATA_LEN: usize = 304;
/// Flags of `recv` and `send` that the RTOS may use; the others say something of the host's process.
const RECEIVE_FLAGS: MsgFlags = MsgFlags::MSG_PEEK.union(MsgFlags::MSG_DONTWAIT).union(MsgFlags::MSG_TRUNC);
const SEND_FLAGS: MsgFlags =
    MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL).union(MsgFlags::from_bits_truncate(libc::MSG_MORE));
/// Most connections that wait for `accept`.
const BACKLOG: i32 = 16;
/// Options that concern the socket alone. Those for which the host asks a privilege are not among them: the shim has it.
const OPTIONS: [(i32, &[i32]); 4] = [
    // Reuse, type, error, broadcast, buffers, keepalive, linger, reuse of ports, time limits (old and new), accepting.
    (libc::SOL_SOCKET, &[2, 3, 4, 6, 7, 8, 9, 10, 13, 15, 20, 21, 30, 66, 67]),
    // No delay, keepalive times, user timeout.
    (libc::IPPROTO_TCP, &[1, 4, 5, 6, 18]),
    // Type of service, time to live, multicast.
    (libc::IPPROTO_IP, &[1, 2, 32, 33, 34, 35, 36]),
    // Hops, multicast, no IPv4.
    (libc::IPPROTO_IPV6, &[16, 17, 18, 19, 20, 21, 26]),
];
const RECEIVE_TIMEOUT: [i32; 2] = [20, 66];
const SEND_TIMEOUT: [i32; 2] = [21, 67];

/// What the RTOS's socket does that the host's does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    /// Calls wait.
    pub(super) blocking: bool,
    receive: Option<Duration>,
    send: Option<Duration>,
}

/// Carries `action` out, or has the call wait for `events`.
pub(super) fn attempt<T>(
    files: &mut Files,
    fd: i32,
    events: PollFlags,
    waits: bool,
    action: impl FnOnce(&File) -> nix::Result<T>,
) -> nix::Result<T> {
    let socket = files.socket(fd)?;
    match action(files.get(fd)?) {
        Err(Errno::EAGAIN | Errno::EALREADY | Errno::EINPROGRESS) if socket.blocking && waits => {
            let timeout = if events == PollFlags::POLLIN { socket.receive } else { socket.send };
            Err(files.wait_for(vec![(fd, events)], timeout))
        }
        result => result,
    }
}

pub(super) fn socket(files: &mut Files, request: &Request<'_>) -> Answer {
    let (domain, kind, protocol) = (request.i32(12)?, request.i32(16)?, request.i32(20)?);
    let family = match domain {
        INET => AddressFamily::Inet,
        INET6 => AddressFamily::Inet6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let (kind, own) = match kind & !(NONBLOCK | CLOEXEC) {
        libc::SOCK_STREAM => (SockType::Stream, SockProtocol::Tcp),
        libc::SOCK_DGRAM => (SockType::Datagram, SockProtocol::Udp),
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    if protocol != 0 && protocol != own as i32 {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let made = socket::socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, own)?;
    add(files, made, request.i32(16)? & NONBLOCK == 0).map(int)
}

fn add(files: &mut Files, made: OwnedFd, blocking: bool) -> nix::Result<i32> {
    let fd = files.add(made.into())?;
    files.set_socket(fd, Socket { blocking, receive: None, send: None });
    Ok(fd)
}

pub(super) fn bind(files: &mut Files, request: &Request<'_>) -> Answer {
    let address = address(request, 16, 20)?;
    socket::bind(files.socket_file(request.i32(12)?)?.as_raw_fd(), &address).map(|()| int(0))
}

pub(super) fn connect(files: &mut Files, request: &Request<'_>) -> Answer {
    let address = address(request, 16, 20)?;
    let connect = |socket: &File| socket::connect(socket.as_raw_fd(), &address);
    attempt(files, request.i32(12)?, PollFlags::POLLOUT, true, connect).map(|()| int(0))
}

pub(super) fn listen(files: &mut Files, request: &Request<'_>) -> Answer {
    let backlog = Backlog::new(request.i32(16)?.clamp(0, BACKLOG))?;
    socket::listen(files.socket_file(request.i32(12)?)?, backlog).map(|()| int(0))
}

pub(super) fn accept(files: &mut Files, request: &Request<'_>) -> Answer {
    accept_with(files, request, 0, 16)
}

pub(super) fn accept4(files: &mut Files, request: &Request<'_>) -> Answer {
    accept_with(files, request, request.i32(16)?, 20)
}

fn accept_with(files: &mut Files, request: &Request<'_>, flags: i32, len_at: usize) -> Answer {
    if flags & !(NONBLOCK | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let room = request.u32(len_at)? as usize;
    let accept =
        |socket: &File| socket::accept4(socket.as_raw_fd(), SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC);
    let accepted = attempt(files, request.i32(12)?, PollFlags::POLLIN, true, accept)?;
    let accepted = sys::own(accepted);
    let peer = told(socket::getpeername(accepted.as_raw_fd()), room)?;
    let fd = add(files, accepted, flags & NONBLOCK == 0)?;
    let mut fields = [&int(fd)[..], &int(peer.len() as i32), &peer].concat();
    fields.resize(ACCEPT_LEN + peer.len(), 0);
    Ok(fields)
}

pub(super) fn getpeername(files: &mut Files, request: &Request<'_>) -> Answer {
    let peer = socket::getpeername(files.socket_file(request.i32(12)?)?.as_raw_fd());
    named(&told(peer, request.u32(16)? as usize)?)
}

pub(super) fn getsockname(files: &mut Files, request: &Request<'_>) -> Answer {
    let own = socket::getsockname(files.socket_file(request.i32(12)?)?.as_raw_fd());
    named(&told(own, request.u32(16)? as usize)?)
}

fn named(address: &[u8]) -> Answer {
    Ok([&int(0)[..], &int(address.len() as i32), address].concat())
}

pub(super) fn recv(files: &mut Files, request: &Request<'_>) -> Answer {
    let flags = receive_flags(request.i32(16)?)?;
    let mut bytes = vec![0; request.count(24)?.min(DATA_LEN)];
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT);
    let receive = |socket: &File| socket::recv(socket.as_raw_fd(), &mut bytes, flags);
    let len = attempt(files, request.i32(12)?, PollFlags::POLLIN, waits, receive)?;
    bytes.truncate(len);
    Ok(data(len, &bytes))
}

pub(super) fn recvfrom(files: &mut Files, request: &Request<'_>) -> Answer {
    let flags = receive_flags(request.i32(16)?)?;
    let room = (request.u32(20)? as usize).min(FROM_LEN);
    let mut bytes = vec![0; request.count(24)?.min(FROM_DATA_LEN)];
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT);
    let receive = |socket: &File| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = socket::recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, None, flags)?;
        Ok((received.bytes, received.address))
    };
    let (len, from) = attempt(files, request.i32(12)?, PollFlags::POLLIN, waits, receive)?;
    let mut from = from.map_or(Ok(Vec::new()), |from| told(Ok(from), room))?;
    let count = int(from.len() as i32);
    from.resize(FROM_LEN, 0);
    let bytes = bytes.get(..len).unwrap_or(&bytes);
    // The count of the bytes lies on a multiple of eight.
    Ok([&count[..], &[0; 4], &long(len as i64), &from, bytes].concat())
}

pub(super) fn send(files: &mut Files, request: &Request<'_>) -> Answer {
    let (flags, len) = (send_flags(request.i32(24)?)?, request.count(16)?);
    let bytes = request.data(28, len)?;
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT);
    let send = |socket: &File| socket::send(socket.as_raw_fd(), bytes, flags);
    let sent = attempt(files, request.i32(12)?, PollFlags::POLLOUT, waits, send)?;
    Ok(long(sent as i64))
}

/// The address, then the data, in one field.
pub(super) fn sendto(files: &mut Files, request: &Request<'_>) -> Answer {
    let (flags, len) = (send_flags(request.i32(24)?)?, request.count(16)?);
    let to_len = request.u32(28)? as usize;
    let all = request.data(32, to_len.checked_add(len).ok_or(Errno::EINVAL)?)?;
    let (to, bytes) = all.split_at_checked(to_len).ok_or(Errno::EINVAL)?;
    let to = if to.is_empty() { None } else { Some(SockaddrStorage::from(decode(to)?)) };
    let waits = !flags.contains(MsgFlags::MSG_DONTWAIT);
    let send = |socket: &File| match &to {
        Some(to) => socket::sendto(socket.as_raw_fd(), bytes, to, flags),
        None => socket::send(socket.as_raw_fd(), bytes, flags),
    };
    let sent = attempt(files, request.i32(12)?, PollFlags::POLLOUT, waits, send)?;
    Ok(long(sent as i64))
}

pub(super) fn shutdown(files: &mut Files, request: &Request<'_>) -> Answer {
    let how = match request.i32(16)? {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    socket::shutdown(files.socket_file(request.i32(12)?)?.as_raw_fd(), how).map(|()| int(0))
}

pub(super) fn getsockopt(files: &mut Files, request: &Request<'_>) -> Answer {
    let (fd, level, name) = (request.i32(12)?, request.i32(20)?, request.i32(24)?);
    let mut value = vec![0; (request.u32(16)? as usize).min(DATA_LEN)];
    let len = match files.time_limit(fd, level, name)? {
        Some(limit) => {
            let time = time_value(*limit);
            let len = time.len().min(value.len());
            value[..len].copy_from_slice(&time[..len]);
            len
        }
        None => sys::socket_option(option(files, fd, level, name)?, level, name, &mut value)
            .map_err(|error| errno(&error))?,
    };
    let told = value.get(..len).unwrap_or_default();
    Ok([&int(0)[..], &int(told.len() as i32), told].concat())
}

pub(super) fn setsockopt(files: &mut Files, request: &Request<'_>) -> Answer {
    let (fd, level, name) = (request.i32(12)?, request.i32(16)?, request.i32(20)?);
    let value = request.data(28, request.u32(24)? as usize)?;
    if let Some(limit) = files.time_limit(fd, level, name)? {
        *limit = read_time(value)?;
        return Ok(int(0));
    }
    // Closing a socket that lingers would wait.
    if (level, name) == (libc::SOL_SOCKET, libc::SO_LINGER) && value.iter().skip(4).any(|byte| *byte != 0) {
        return Err(Errno::EINVAL);
    }
    let socket = option(files, fd, level, name)?;
    sys::set_socket_option(socket, level, name, value).map(|()| int(0)).map_err(|error| errno(&error))
}

/// The socket, if the option is one that the RTOS may know and change.
fn option(files: &Files, fd: i32, level: i32, name: i32) -> nix::Result<BorrowedFd<'_>> {
    let socket = files.socket_file(fd)?;
    let known = OPTIONS.iter().any(|(of, names)| *of == level && names.contains(&name));
    if known { Ok(socket.as_fd()) } else { Err(Errno::ENOPROTOOPT) }
}

impl Socket {
    /// The limit that an option stands for, if it is one of these.
    pub(super) fn time_limit(&mut self, level: i32, name: i32) -> Option<&mut Option<Duration>> {
        match level {
            libc::SOL_SOCKET if RECEIVE_TIMEOUT.contains(&name) => Some(&mut self.receive),
            libc::SOL_SOCKET if SEND_TIMEOUT.contains(&name) => Some(&mut self.send),
            _ => None,
        }
    }
}

/// A `timeval` of two longs; zero is for ever.
fn read_time(value: &[u8]) -> nix::Result<Option<Duration>> {
    let (seconds, rest) = value.split_first_chunk().ok_or(Errno::EINVAL)?;
    let seconds = u64::try_from(i64::from_le_bytes(*seconds)).map_err(|_| Errno::EDOM)?;
    let micros = i64::from_le_bytes(*rest.first_chunk().ok_or(Errno::EINVAL)?);
    let micros = u32::try_from(micros).ok().filter(|micros| *micros < 1_000_000).ok_or(Errno::EDOM)?;
    Ok(Some(Duration::new(seconds, micros * 1000)).filter(|limit| !limit.is_zero()))
}

fn time_value(limit: Option<Duration>) -> Vec<u8> {
    let limit = limit.unwrap_or_default();
    [long(limit.as_secs() as i64), long(limit.subsec_micros().into())].concat()
}

fn receive_flags(flags: i32) -> nix::Result<MsgFlags> {
    MsgFlags::from_bits(flags).filter(|flags| RECEIVE_FLAGS.contains(*flags)).ok_or(Errno::EINVAL)
}

fn send_flags(flags: i32) -> nix::Result<MsgFlags> {
    let flags =
        MsgFlags::from_bits(flags).filter(|flags| SEND_FLAGS.contains(*flags)).ok_or(Errno::EINVAL)?;
    Ok(flags | MsgFlags::MSG_NOSIGNAL)
}

/// The address in a request, whose length is in front of it.
fn address(request: &Request<'_>, len_at: usize, at: usize) -> nix::Result<SockaddrStorage> {
    decode(request.data(at, request.u32(len_at)? as usize)?).map(SockaddrStorage::from)
}

/// An address as it is told: like the call itself, cut off where there is no more room.
fn told(address: nix::Result<SockaddrStorage>, room: usize) -> nix::Result<Vec<u8>> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    let v6 = || address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()));
    let mut bytes = v4.or_else(v6).map(|address| encode(&address)).unwrap_or_default();
    bytes.truncate(room);
    Ok(bytes)
}
