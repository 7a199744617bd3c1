//! Calls for names of hosts: numbers, and the names of the container's `/etc/hosts`. No name server is asked; firmware can
//! by itself, over a socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;

use super::address::{INET, INET6, encode};
use super::files::Files;
use super::wire::{DATA_LEN, Request, int};

type Answer = nix::Result<Vec<u8>>;

/// Errors of `getaddrinfo`, and what `gai_strerror` says of them.
const ERRORS: [(i32, &str); 7] = [
    (BAD_FLAGS, "invalid flags"),
    (NO_NAME, "name does not resolve"),
    (FAIL, "non-recoverable error"),
    (FAMILY, "unrecognized address family"),
    (SOCKTYPE, "unrecognized socket type"),
    (SERVICE, "unrecognized service: a number is needed"),
    (OVERFLOW, "overflow"),
];
const BAD_FLAGS: i32 = -1;
const NO_NAME: i32 = -2;
const FAIL: i32 = -4;
const FAMILY: i32 = -6;
const SOCKTYPE: i32 = -7;
const SERVICE: i32 = -8;
const OVERFLOW: i32 = -12;
/// Flags: for listening; the name is a number.
const PASSIVE: i32 = 1;
const NUMERIC_HOST: i32 = 4;
/// Flags that change nothing here: the service is a number, addresses that can be used.
const IGNORED: i32 = 0x400 | 0x20;
/// `HOST_NOT_FOUND`.
const HOST_NOT_FOUND: i32 = 1;
/// Bytes in front of the name in a host's entry.
const ENTRY_LEN: usize = 24;
/// Bytes of an encoded address in front of its `sockaddr`.
const INFO_LEN: usize = 24;
/// What an address is for: streams and datagrams, with their protocols.
const TYPES: [(i32, i32); 2] = [(1, 6), (2, 17)];

pub(super) fn gai_strerror(_: &mut Files, request: &Request<'_>) -> Answer {
    let error = request.i32(12)?;
    let text = ERRORS.iter().find(|(number, _)| *number == error).map_or("unknown error", |(_, text)| text);
    Ok([&int(0)[..], text.as_bytes(), &[0]].concat())
}

/// What is looked for, out of a request's buffer.
struct Query<'a> {
    flags: i32,
    family: i32,
    kind: i32,
    node: Option<&'a str>,
    service: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// The fields of hints, node and service are where these begin in the buffer, or how long they are if that fills it.
    fn read(request: &Request<'a>) -> nix::Result<Query<'a>> {
        let buffer = request.data(32, request.u32(28)? as usize)?;
        let [hints, node, service] = [request.i32(16)?, request.i32(20)?, request.i32(24)?];
        let fields = [hints, node, service].map(|field| usize::try_from(field).ok());
        let lengths = match fields {
            [Some(a), Some(b), Some(c)] => {
                a.checked_add(b).and_then(|ab| ab.checked_add(c)) == Some(buffer.len())
            }
            _ => false,
        };
        let text = |at: Option<usize>| {
            let rest = buffer.get(at?..).filter(|rest| !rest.is_empty())?;
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            rest.get(..end).and_then(|text| std::str::from_utf8(text).ok()).filter(|text| !text.is_empty())
        };
        let (hints, node, service) = match (fields, lengths) {
            ([Some(hints), Some(node), Some(service)], true) => {
                let node_at = (node > 0).then_some(hints);
                (Some(0), node_at, (service > 0).then_some(hints + node))
            }
            ([hints, node, service], _) => (hints, node, service.filter(|at| *at > 0)),
        };
        let word = |index: usize| -> Option<i32> {
            let at = hints.filter(|_| request.i32(12).is_ok_and(|count| count > 0))? + 4 * index;
            buffer.get(at..)?.first_chunk().copied().map(i32::from_le_bytes)
        };
        let [flags, family, kind] = [0, 1, 2].map(|index| word(index).unwrap_or(0));
        Ok(Query { flags, family, kind, node: text(node), service: text(service) })
    }

    fn addresses(&self, files: &Files) -> Result<Vec<(SocketAddr, i32, i32)>, i32> {
        if self.flags & !(PASSIVE | NUMERIC_HOST | IGNORED) != 0 {
            return Err(BAD_FLAGS);
        }
        let port = self.service.map_or(Ok(0), |service| service.parse().map_err(|_| SERVICE))?;
        if ![0, INET, INET6].contains(&self.family) {
            return Err(FAMILY);
        }
        let hosts = match self.node {
            Some(node) => resolve(files, node, self.flags & NUMERIC_HOST != 0)?,
            None if self.service.is_none() => return Err(NO_NAME),
            None if self.flags & PASSIVE != 0 => {
                vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
            }
            None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        };
        let types: Vec<_> =
            TYPES.into_iter().filter(|(kind, _)| self.kind == 0 || self.kind == *kind).collect();
        if types.is_empty() {
            return Err(SOCKTYPE);
        }
        let wanted = hosts.into_iter().filter(|host| self.family == 0 || family(host) == self.family);
        let found: Vec<_> = wanted
            .flat_map(|host| {
                types.iter().map(move |(kind, protocol)| ((host, port).into(), *kind, *protocol))
            })
            .collect();
        if found.is_empty() { Err(NO_NAME) } else { Ok(found) }
    }
}

/// As many addresses as a message holds.
pub(super) fn getaddrinfo(files: &mut Files, request: &Request<'_>) -> Answer {
    let (error, found) = match Query::read(request)?.addresses(files) {
        Ok(found) => (0, found),
        Err(error) => (error, Vec::new()),
    };
    let (mut count, mut bytes) = (0, Vec::new());
    for (address, kind, protocol) in found {
        let encoded = encode(&address);
        if bytes.len() + INFO_LEN + encoded.len() > DATA_LEN {
            break;
        }
        for word in [0, family(&address.ip()), kind, protocol, encoded.len() as i32, 0] {
            bytes.extend(int(word));
        }
        bytes.extend(encoded);
        count += 1;
    }
    Ok([&int(0)[..], &int(error), &int(count), &int(bytes.len() as i32), &bytes].concat())
}

/// IPv4 addresses alone, as the call has it.
pub(super) fn gethostbyname(files: &mut Files, request: &Request<'_>) -> Answer {
    let name = request.text(12, DATA_LEN)?;
    let found = resolve(files, name, false).unwrap_or_default();
    let addresses: Vec<Vec<u8>> =
        found.into_iter().filter(IpAddr::is_ipv4).map(|host| octets(&host)).collect();
    host(name, INET, &addresses)
}

/// The name that `/etc/hosts` has for an address; nobody else is asked.
pub(super) fn gethostbyaddr(files: &mut Files, request: &Request<'_>) -> Answer {
    let bytes = request.data(20, request.u32(12)? as usize)?;
    let address: IpAddr = match request.i32(16)? {
        INET => bytes.first_chunk::<4>().copied().ok_or(Errno::EINVAL)?.into(),
        INET6 => bytes.first_chunk::<16>().copied().ok_or(Errno::EINVAL)?.into(),
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let name = known(files).into_iter().find(|(known, _)| *known == address);
    match name {
        Some((_, name)) => host(&name, family(&address), &[octets(&address)]),
        None => host("", INET, &[]),
    }
}

/// Bytes of an `/etc/hosts` that are read.
const HOSTS_LIMIT: u64 = 1 << 20;

/// A host's entry, or that there is none.
fn host(name: &str, family: i32, addresses: &[Vec<u8>]) -> Answer {
    let Some(len) = addresses.first().map(Vec::len) else {
        return Ok([int(HOST_NOT_FOUND), int(0)].concat());
    };
    let list = ENTRY_LEN + name.len() + 1;
    let room = DATA_LEN.checked_sub(list).ok_or(Errno::ENAMETOOLONG)?;
    let addresses = addresses.get(..addresses.len().min(room / len)).unwrap_or_default();
    let mut entry = [int(ENTRY_LEN as i32), int(list as i32)].concat();
    entry.extend(0_i16.to_le_bytes());
    entry.extend((addresses.len() as i16).to_le_bytes());
    for word in [family, len as i32, list as i32] {
        entry.extend(int(word));
    }
    entry.extend(name.as_bytes());
    entry.push(0);
    addresses.iter().for_each(|address| entry.extend(address));
    Ok([&int(0)[..], &int(entry.len() as i32), &entry].concat())
}

/// The addresses of a name.
fn resolve(files: &Files, name: &str, numeric: bool) -> Result<Vec<IpAddr>, i32> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let named = known(files).into_iter().filter(|(_, known)| !numeric && known == name);
    let found: Vec<IpAddr> = named.map(|(address, _)| address).collect();
    if found.is_empty() { Err(NO_NAME) } else { Ok(found) }
}

/// What the container's `/etc/hosts` says: each address with each of its names.
fn known(files: &Files) -> Vec<(IpAddr, String)> {
    let file = files.root.open_file("/etc/hosts", nix::fcntl::OFlag::O_RDONLY, 0);
    let bytes = file.ok().and_then(|file| firmware::file::read(&file, HOSTS_LIMIT).ok()).unwrap_or_default();
    let mut known = Vec::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let Some(Ok(address)) = words.next().map(str::parse) {
            known.extend(words.map(|name| (address, name.to_owned())));
        }
    }
    known
}

fn family(address: &IpAddr) -> i32 {
    if address.is_ipv4() { INET } else { INET6 }
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
