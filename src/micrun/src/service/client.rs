//! Calls of other servers: one connection, one call at a time, and no thread, of which the library's client has two.

use std::io::{self, ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

use ttrpc::proto::{Code, Codec, MESSAGE_TYPE_RESPONSE, MessageHeader, Request, Response};
use ttrpc::{Error, Result};

use super::server::read;

/// A connection to a server. After an error other than one that the server answered, it is of no use any more.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    /// The number of the next call: odd, as those of a server are even.
    next: u32,
}

impl Client {
    /// Connects to the socket of that path, or of that name if it begins with `@`.
    pub(super) fn connect(address: &str) -> Result<Client> {
        let stream = match address.strip_prefix('@') {
            Some(name) => {
                SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address))
            }
            None => UnixStream::connect(address),
        };
        let failed = |error| Error::Others(format!("{address}: {error}"));
        Ok(Client { stream: stream.map_err(failed)?, next: 1 })
    }

    /// Carries out a call whose answer says nothing but whether it succeeded. It comes within `limit`.
    pub(super) fn call(
        &mut self,
        service: &str,
        method: &str,
        payload: Vec<u8>,
        limit: Duration,
    ) -> Result<()> {
        let request = Request {
            service: service.to_owned(),
            method: method.to_owned(),
            timeout_nano: i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX),
            payload,
            ..Request::default()
        };
        let number = self.next;
        self.next += 2;
        let body = request.encode().map_err(|error| Error::Others(error.to_string()))?;
        let header = MessageHeader::new_request(number, body.len() as u32);
        let mut bounded = Bounded { stream: &self.stream, deadline: Instant::now() + limit };
        let answer =
            exchange(&mut bounded, header, &body).map_err(|error| Error::Others(error.to_string()))?;
        let response = Response::decode(&answer).map_err(|error| Error::Others(error.to_string()))?;
        match response.status.into_option() {
            Some(status) if status.code() != Code::OK => Err(Error::RpcStatus(status)),
            _ => Ok(()),
        }
    }
}

/// Sends a request and gives the answer to it.
fn exchange(bounded: &mut Bounded<'_>, header: MessageHeader, body: &[u8]) -> io::Result<Vec<u8>> {
    let number = header.stream_id;
    bounded.stream.set_write_timeout(Some(bounded.left()?))?;
    bounded.stream.write_all(&[&Vec::from(header), body].concat())?;
    loop {
        let Some((header, body)) = read(bounded) else {
            bounded.left()?;
            return Err(ErrorKind::UnexpectedEof.into());
        };
        if header.type_ == MESSAGE_TYPE_RESPONSE && header.stream_id == number {
            return body.ok_or_else(|| io::Error::other("the answer is too long"));
        }
    }
}

/// A stream that is read until a deadline.
struct Bounded<'s> {
    stream: &'s UnixStream,
    deadline: Instant,
}

impl Bounded<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::thread;

    use super::super::Server;
    use super::super::call::{Call, Service, unknown};
    use super::*;
    use tempfile::TempDir;

    const LONG: Duration = Duration::from_secs(60);

    /// Succeeds if asked to.
    struct Obey;

    impl Service for Obey {
        fn serve(&self, request: &Request, call: Call) {
            match request.payload.as_slice() {
                b"succeed" => call.answer(Ok(Vec::new())),
                b"fail" => call.refuse(Code::NOT_FOUND, "as told".to_owned()),
                _ => call.answer(Err(unknown(request))),
            }
        }
    }

    #[test]
    fn a_server_is_called_again_and_again() {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        let server = Server::start(listener, vec![("a.B", Arc::new(Obey))]).expect("started");
        let mut client = Client::connect(path.to_str().expect("utf-8")).expect("it listens");
        let mut code = |method, payload: &[u8]| match client.call("a.B", method, payload.to_vec(), LONG) {
            Ok(()) => Code::OK,
            Err(Error::RpcStatus(status)) => status.code(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(code("Obey", b"succeed"), Code::OK);
        assert_eq!(code("Obey", b"fail"), Code::NOT_FOUND);
        assert_eq!(code("Obey", b""), Code::UNIMPLEMENTED);
        assert_eq!(code("Obey", b"succeed"), Code::OK);
        drop(client);
        server.finish(LONG);
        assert!(Client::connect(path.to_str().expect("utf-8")).is_err());
    }

    #[test]
    fn a_server_that_trickles_or_goes_away_holds_nobody() {
        let (stream, mut other) = UnixStream::pair().expect("a pair");
        let mut client = Client { stream, next: 1 };
        let begun = Instant::now();
        let trickle = thread::spawn(move || {
            while begun.elapsed() < LONG && other.write_all(&[0]).is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let error = client.call("a.B", "C", Vec::new(), Duration::from_millis(100)).expect_err("no answer");
        assert!(error.to_string().contains("timed out"), "{error}");
        drop(client);
        trickle.join().expect("no panic");
        assert!(begun.elapsed() < LONG);

        let (stream, other) = UnixStream::pair().expect("a pair");
        drop(other);
        assert!(Client { stream, next: 1 }.call("a.B", "C", Vec::new(), LONG).is_err());
    }
}
