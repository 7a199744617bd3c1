//! The bytes of requests and replies, little-endian (MICA ABI 4.7).

use nix::errno::Errno;

use openamp::rpmsg::PAYLOAD_LEN;

/// Status of a call that was carried out, successfully or not.
const HANDLED: i32 = 0;
/// Status of a call that does not exist.
const UNKNOWN: i32 = -1;
/// Where `params` begin in a reply: behind id and status.
const PARAMS: usize = 8;
/// Bytes of data that replies carry at most, as their C structs have it.
pub(super) const DATA_LEN: usize = 432;
/// Bytes of a path in most requests.
pub(super) const PATH_LEN: usize = 128;

/// One message of the RTOS. Every access checks that the field is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Request<'a> {
        Request { bytes }
    }

    fn array<const N: usize>(&self, at: usize) -> nix::Result<[u8; N]> {
        let field = self.bytes.get(at..).and_then(|rest| rest.get(..N));
        field.and_then(|field| field.try_into().ok()).ok_or(Errno::EINVAL)
    }

    pub(super) fn i32(&self, at: usize) -> nix::Result<i32> {
        self.array(at).map(i32::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> nix::Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn i64(&self, at: usize) -> nix::Result<i64> {
        self.array(at).map(i64::from_le_bytes)
    }

    pub(super) fn u64(&self, at: usize) -> nix::Result<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A count of bytes or items, as `size_t`.
    pub(super) fn count(&self, at: usize) -> nix::Result<usize> {
        usize::try_from(self.u64(at)?).map_err(|_| Errno::EINVAL)
    }

    /// `count` bytes.
    pub(super) fn bytes(&self, at: usize, count: usize) -> nix::Result<&'a [u8]> {
        self.bytes.get(at..).and_then(|rest| rest.get(..count)).ok_or(Errno::EINVAL)
    }

    /// `count` bytes of a buffer of [`DATA_LEN`].
    pub(super) fn data(&self, at: usize, count: usize) -> nix::Result<&'a [u8]> {
        if count <= DATA_LEN { self.bytes(at, count) } else { Err(Errno::EINVAL) }
    }

    /// Text in a field of `size` bytes, without the zero that ends it. A message may end with the text.
    pub(super) fn text(&self, at: usize, size: usize) -> nix::Result<&'a str> {
        let rest = self.bytes.get(at..).ok_or(Errno::EINVAL)?;
        let field = rest.get(..size).unwrap_or(rest);
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        let text = field.get(..end).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| Errno::EINVAL)
    }
}

/// What every request begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) id: u64,
    trace: u32,
}

impl Header {
    pub(super) fn of(request: &Request<'_>) -> nix::Result<Header> {
        Ok(Header { id: request.u64(0)?, trace: request.u32(8)? })
    }
}

/// What the fields of a reply say of a failure; their number is the call's own length rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `int`: -1.
    Int,
    /// `ssize_t` or `off_t`, perhaps with data behind it: -1.
    Long,
    /// `FILE *`: null.
    Handle,
    /// `int` and text: 1 means that there is none.
    Text,
    /// `int` -1 and a stat block of zeroes.
    Stat,
    /// Position 0 and `int` -1.
    Entries,
    /// `int` -1 and length 0.
    Sized,
    /// `ssize_t` -1 and two descriptors.
    Pair,
    /// `int` -1 and length 0.
    Address,
    /// The same, and room for an address.
    Accepted,
    /// Length 0, and `ssize_t` -1 on the next multiple of eight.
    From,
    /// Error of names: none; `EAI_FAIL`, no elements, no bytes.
    Info,
    /// Error of names `NO_RECOVERY`, no bytes.
    Host,
    /// Three sets, a time, and `int` -1.
    Selected,
}

/// Bytes of a stat block's fields.
pub(super) const STAT_LEN: usize = 128;

impl Shape {
    fn failure(self) -> Vec<u8> {
        match self {
            Shape::Int => (-1_i32).to_le_bytes().to_vec(),
            Shape::Long => (-1_i64).to_le_bytes().to_vec(),
            Shape::Handle => vec![0; 8],
            Shape::Text => 1_i32.to_le_bytes().to_vec(),
            Shape::Stat => [&(-1_i32).to_le_bytes()[..], &[0; STAT_LEN - 4]].concat(),
            Shape::Entries => [&[0; 8][..], &(-1_i32).to_le_bytes()].concat(),
            Shape::Sized => [&(-1_i32).to_le_bytes()[..], &[0; 12]].concat(),
            Shape::Address => words(&[-1, 0]),
            Shape::Accepted => [&words(&[-1, 0])[..], &[0; 428]].concat(),
            Shape::From => words(&[0, 0, -1, -1]),
            Shape::Info => words(&[0, -4, 0, 0]),
            Shape::Host => words(&[3, 0]),
            Shape::Selected => [&[0; 400][..], &words(&[-1])].concat(),
            Shape::Pair => [&(-1_i64).to_le_bytes()[..], &[0; 8]].concat(),
        }
    }
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// One answer.
#[derive(Debug)]
pub(super) struct Reply {
    bytes: Vec<u8>,
}

impl Reply {
    /// The answer to a call that gave `fields`, or failed.
    pub(super) fn of(header: Header, id: u32, result: nix::Result<Vec<u8>>, shape: Shape) -> Reply {
        let (errno, fields) = match result {
            Ok(fields) => (0, fields),
            Err(errno) => (errno as i32, shape.failure()),
        };
        let mut bytes = Vec::with_capacity(PAYLOAD_LEN);
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&HANDLED.to_le_bytes());
        bytes.extend_from_slice(&header.trace.to_le_bytes());
        bytes.extend_from_slice(&errno.to_le_bytes());
        bytes.extend_from_slice(&fields);
        // Every call bounds its data, so this cuts nothing; a message has no more room.
        bytes.truncate(PAYLOAD_LEN);
        Reply { bytes }
    }

    /// The answer to a call that does not exist. Params of the shortest form: peers read trace id and errno from them.
    pub(super) fn unknown(header: Header) -> Reply {
        let Reply { mut bytes } = Reply::of(header, header.id as u32, Err(Errno::ENOSYS), Shape::Int);
        if let Some(status) = bytes.get_mut(4..PARAMS) {
            status.copy_from_slice(&UNKNOWN.to_le_bytes());
        }
        Reply { bytes }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Fields that are one `int`.
pub(super) fn int(value: i32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// Fields that are one `ssize_t`, `off_t` or `FILE *`.
pub(super) fn long(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// A count and the data that it counts, in bytes or in something larger.
pub(super) fn data(count: usize, bytes: &[u8]) -> Vec<u8> {
    [&(count as i64).to_le_bytes()[..], bytes].concat()
}
