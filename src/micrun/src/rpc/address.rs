//! Socket addresses as C has them: `sockaddr_in` and `sockaddr_in6` of Linux.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::errno::Errno;

/// `AF_INET` and `AF_INET6`.
pub(super) const INET: i32 = 2;
pub(super) const INET6: i32 = 10;

/// Reads an address; other families than those of the internet are refused.
pub(super) fn decode(bytes: &[u8]) -> nix::Result<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk().ok_or(Errno::EINVAL)?;
    let (port, rest) = rest.split_first_chunk().ok_or(Errno::EINVAL)?;
    let port = u16::from_be_bytes(*port);
    match i32::from(u16::from_le_bytes(*family)) {
        INET => {
            let address: &[u8; 4] = rest.first_chunk().ok_or(Errno::EINVAL)?;
            Ok((Ipv4Addr::from(*address), port).into())
        }
        INET6 => {
            let fields: &[u8; 24] = rest.first_chunk().ok_or(Errno::EINVAL)?;
            let (flow, rest) = fields.split_first_chunk().ok_or(Errno::EINVAL)?;
            let (address, scope) = rest.split_first_chunk::<16>().ok_or(Errno::EINVAL)?;
            let scope = scope.first_chunk().ok_or(Errno::EINVAL)?;
            let (flow, scope) = (u32::from_be_bytes(*flow), u32::from_le_bytes(*scope));
            Ok(SocketAddrV6::new(Ipv6Addr::from(*address), port, flow, scope).into())
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// 16 or 28 bytes.
pub(super) fn encode(address: &SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(v4) => [&(INET as u16).to_le_bytes()[..], &port, &v4.ip().octets(), &[0; 8]].concat(),
        SocketAddr::V6(v6) => {
            let (flow, scope) = (v6.flowinfo().to_be_bytes(), v6.scope_id().to_le_bytes());
            [&(INET6 as u16).to_le_bytes()[..], &port, &flow, &v6.ip().octets(), &scope].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_linux_s() {
        let v4 = "127.0.0.1:8080".parse().expect("an address");
        assert_eq!(encode(&v4), *b"\x02\0\x1f\x90\x7f\0\0\x01\0\0\0\0\0\0\0\0");
        let v6: SocketAddr = "[fe80::1%3]:53".parse().expect("an address");
        assert_eq!(encode(&v6).len(), 28);
        for address in [v4, v6] {
            assert_eq!(decode(&encode(&address)), Ok(address));
        }
    }

    #[test]
    fn other_families_and_short_ones_are_refused() {
        assert_eq!(decode(b"\x01\0/run/socket"), Err(Errno::EAFNOSUPPORT));
        for short in [&b""[..], b"\x02\0\0", b"\x02\0\0\0\x7f", &[10, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(decode(short), Err(Errno::EINVAL));
        }
    }
}
