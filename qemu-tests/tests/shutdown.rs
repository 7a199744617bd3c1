//! The end of a server while it is being talked to: every request that was sent before gets its answer, the others an
//! answer or the end of the connection, and nobody hangs.
//!
//! The bytes on the connections are ours, not a library's: a client library may forget an answer when the connection
//! ends right behind it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::thread;

use containerd_shim_protos::api::{ConnectRequest, ShutdownRequest, StateRequest};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::proto::{Code, Request, Response};
use qemu_tests::by_hand::{DEADLINE, Server, address, bundle, call, output};
use qemu_tests::{lives, wait_for};

/// Ends of a server in a row.
const ROUNDS: usize = 60;
/// Connections besides the one that asks for the end.
const OTHERS: usize = 4;
/// Requests on each of them before the end is asked for.
const REQUESTS: u32 = 8;

/// A connection, frame by frame: length, stream and type (1 is a request, 2 a response) and flags, then the message.
struct Connection {
    stream: UnixStream,
    sent: u32,
}

impl Connection {
    fn to(server: &Server) -> Connection {
        let stream = UnixStream::connect(server.socket()).expect("the server listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        Connection { stream, sent: 0 }
    }

    /// Sends one request. False if the server has ended the connection.
    fn ask(&mut self, method: &str, message: &impl Message) -> bool {
        let request = Request {
            service: "containerd.task.v2.Task".to_owned(),
            method: method.to_owned(),
            payload: message.write_to_bytes().expect("encodable"),
            ..Request::default()
        };
        let body = request.write_to_bytes().expect("encodable");
        // Streams of a client have odd numbers.
        let stream = self.sent * 2 + 1;
        let length = u32::try_from(body.len()).expect("short");
        let frame = [&length.to_be_bytes()[..], &stream.to_be_bytes(), &[1, 0], &body].concat();
        self.sent += 1;
        self.stream.write_all(&frame).is_ok()
    }

    /// The next answer, of any request; `None` at the end of the connection.
    fn answer(&mut self) -> Option<Code> {
        let mut header = [0; 10];
        self.read(&mut header)?;
        let length = u32::from_be_bytes(header[..4].try_into().expect("four bytes"));
        assert_eq!(header[8..], [2, 0], "a response");
        let mut body = vec![0; length as usize];
        self.read(&mut body).expect("an answer is whole");
        let response = Response::parse_from_bytes(&body).expect("an answer");
        Some(response.status.code())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) => {
                None
            }
            Err(error) => panic!("neither an answer nor the end within {DEADLINE:?}: {error}"),
        }
    }

    /// One of the requests that any server answers.
    fn ask_something(&mut self) -> bool {
        if self.sent.is_multiple_of(2) {
            self.ask("Connect", &ConnectRequest::default())
        } else {
            self.ask("State", &StateRequest { id: "nobody".to_owned(), ..Default::default() })
        }
    }
}

fn is_right(code: Code) -> bool {
    [Code::OK, Code::NOT_FOUND].contains(&code)
}

/// Sends requests, meets the others, sends more until the connection ends; gives how many of the first were answered.
fn talk(server: &Server, barrier: &Barrier) -> u32 {
    let mut connection = Connection::to(server);
    for _ in 0..REQUESTS {
        assert!(connection.ask_something());
    }
    barrier.wait();
    let mut answers = 0;
    while let Some(code) = connection.answer() {
        assert!(is_right(code), "{code:?}");
        answers += 1;
        connection.ask_something();
    }
    answers
}

/// Asks for the end, among other things, and leaves when everything is answered.
fn end(server: &Server, barrier: &Barrier) {
    let mut connection = Connection::to(server);
    barrier.wait();
    for _ in 0..REQUESTS {
        assert!(connection.ask_something());
    }
    assert!(connection.ask("Shutdown", &ShutdownRequest::default()));
    for _ in 0..=REQUESTS {
        let code = connection.answer().expect("all that was asked on this connection is answered");
        assert!(is_right(code), "{code:?}");
    }
}

#[test]
fn no_answer_is_lost_at_the_end() {
    for round in 0..ROUNDS {
        let bundle = bundle();
        let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
        let pid = Server::pid(bundle.path());
        let barrier = Barrier::new(OTHERS + 1);
        thread::scope(|scope| {
            let talking: Vec<_> = (0..OTHERS).map(|_| scope.spawn(|| talk(&server, &barrier))).collect();
            end(&server, &barrier);
            for other in talking {
                let answers = other.join().expect("no panic");
                assert!(answers >= REQUESTS, "round {round}: {answers} of {REQUESTS} answers");
            }
        });
        wait_for("the server's end", DEADLINE, || (!lives(pid)).then_some(())).expect("it ends");
        assert!(!server.socket().exists());
    }
}

#[test]
fn the_end_may_be_asked_for_before_anything_else() {
    for _ in 0..ROUNDS {
        let bundle = bundle();
        let server = Server { address: address(&output(&mut call(bundle.path(), &["start"]))) };
        let pid = Server::pid(bundle.path());
        thread::scope(|scope| {
            for _ in 0..OTHERS {
                scope.spawn(|| {
                    // Whoever comes after the end finds nobody.
                    let Ok(stream) = UnixStream::connect(server.socket()) else { return };
                    stream.set_read_timeout(Some(DEADLINE)).expect("set");
                    let mut connection = Connection { stream, sent: 0 };
                    if connection.ask("Shutdown", &ShutdownRequest::default()) {
                        assert!(connection.answer().is_none_or(|code| code == Code::OK));
                    }
                });
            }
        });
        wait_for("the server's end", DEADLINE, || (!lives(pid)).then_some(())).expect("it ends");
    }
}
