//! The server: the ttrpc library's messages on threads of our own.
//!
//! The library's own server, when it is shut down, forgets what it has received and not yet begun to answer. Here
//! everything that was sent before the end is answered before the end. A connection holds two threads, one that reads
//! and one that writes, and each request under way one more.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use ttrpc::proto::{
    Code, Codec, MESSAGE_HEADER_LENGTH, MESSAGE_LENGTH_MAX, MESSAGE_TYPE_REQUEST, MessageHeader, Request,
};

use super::Services;
use super::call::Call;
use crate::sys;
use crate::vec_map::VecMap;

/// Pause after a connection could not be accepted: memory or descriptors are short, and asking at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that serves.
#[derive(Debug)]
pub struct Server {
    listener: Arc<UnixListener>,
    connections: Arc<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    state: Mutex<State>,
    /// Told when a connection has ended, and when no more are accepted.
    fewer: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By descriptor: an entry keeps its stream open, so no other has that number.
    open: VecMap<RawFd, Arc<UnixStream>>,
    /// No more are accepted.
    closed: bool,
}

impl Server {
    /// Starts to serve `services` to whoever connects.
    pub fn start(listener: UnixListener, services: Services) -> io::Result<Server> {
        let server = Server { listener: Arc::new(listener), connections: Arc::default() };
        let (listener, connections) = (server.listener.clone(), server.connections.clone());
        let services = Arc::new(services);
        let accept = move || {
            accept(&listener, &connections, &services);
            connections.close();
        };
        sys::spawn("listener", accept)?;
        Ok(server)
    }

    /// Ends orderly: whoever has connected and whatever was sent so far is served, nothing after it. Waits until the
    /// last answer is written, at most `deadline`: a client may not read, a container may not end.
    pub fn finish(&self, deadline: Duration) {
        // The queue of the listener is emptied, then accepting fails.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Read);
        let state = self.connections.state.lock().unwrap();
        let busy = |state: &mut State| !state.closed || !state.open.is_empty();
        // Over time is over.
        let _ = self.connections.fewer.wait_timeout_while(state, deadline, busy);
    }
}

/// Accepts connections until the listener is shut down.
fn accept(listener: &UnixListener, connections: &Arc<Connections>, services: &Arc<Services>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => connections.admit(stream, services),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return,
            Err(error) => {
                log::warn!("accepting a connection: {error}");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

impl Connections {
    /// Serves a connection on a thread of its own.
    fn admit(self: &Arc<Self>, stream: UnixStream, services: &Arc<Services>) {
        let (number, stream) = (stream.as_raw_fd(), Arc::new(stream));
        self.state.lock().unwrap().open.insert(number, stream.clone());
        let (connections, services) = (self.clone(), services.clone());
        let serve = move || {
            let served = serve(&stream, &services);
            connections.remove(number);
            served.unwrap_or_else(|error| log::warn!("a connection: {error}"));
        };
        if let Err(error) = sys::spawn("connection", serve) {
            log::warn!("a thread for a connection: {error}");
            self.remove(number);
        }
    }

    fn remove(&self, number: RawFd) {
        self.state.lock().unwrap().open.remove(number);
        self.fewer.notify_all();
    }

    /// Nothing more is read than what has arrived.
    fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        for stream in state.open.values() {
            // Fails for a client that is gone already.
            let _ = stream.shutdown(std::net::Shutdown::Read);
        }
        self.fewer.notify_all();
    }
}

/// Answers requests until the client ends the connection and everything is answered.
fn serve(stream: &Arc<UnixStream>, services: &Services) -> io::Result<()> {
    let (answers, queue) = channel();
    let caller = Arc::new(());
    let conversation = Conversation { number: stream.as_raw_fd(), answers, caller: Arc::downgrade(&caller) };
    let writing = stream.clone();
    let writer = sys::spawn("answers", move || write(&writing, &queue))?;
    while let Some(frame) = read(&mut &**stream) {
        conversation.dispatch(frame, services);
    }
    drop((conversation, caller));
    // It ends with the last request that may still be answered.
    let _ = writer.join();
    Ok(())
}

/// Writes answers until nobody can give any more, or the client does not take them.
fn write(mut stream: &UnixStream, queue: &Receiver<Vec<u8>>) {
    for frame in queue {
        if stream.write_all(&frame).is_err() {
            return;
        }
    }
}

/// The next frame; `None` if there will be no whole one. The body of one that is too long is skipped.
pub(super) fn read(stream: &mut dyn Read) -> Option<(MessageHeader, Option<Vec<u8>>)> {
    let mut header = [0; MESSAGE_HEADER_LENGTH];
    stream.read_exact(&mut header).ok()?;
    let header = MessageHeader::from(header);
    let len = u64::from(header.length);
    if header.length as usize > MESSAGE_LENGTH_MAX {
        let skipped = io::copy(&mut stream.take(len), &mut io::sink()).ok()?;
        return (skipped == len).then_some((header, None));
    }
    let mut body = Vec::new();
    stream.take(len).read_to_end(&mut body).ok()?;
    (body.len() as u64 == len).then_some((header, Some(body)))
}

/// What the requests of one connection share.
struct Conversation {
    number: RawFd,
    answers: Sender<Vec<u8>>,
    caller: Weak<()>,
}

impl Conversation {
    /// Has a request answered on a thread of its own.
    fn dispatch(&self, (header, body): (MessageHeader, Option<Vec<u8>>), services: &Services) {
        // Other types belong to streaming methods, of which there are none.
        if header.type_ != MESSAGE_TYPE_REQUEST {
            return;
        }
        let Some(body) = body else {
            let why = format!("request of {} bytes, at most {MESSAGE_LENGTH_MAX} are allowed", header.length);
            return self.call(header, 0).refuse(Code::RESOURCE_EXHAUSTED, why);
        };
        let request = match Request::decode(&body) {
            Ok(request) => request,
            Err(error) => {
                return self.call(header, 0).refuse(Code::INVALID_ARGUMENT, format!("request: {error}"));
            }
        };
        let call = self.call(header, request.timeout_nano);
        let Some((_, service)) = services.iter().find(|(name, _)| *name == request.service) else {
            return call.refuse(Code::UNIMPLEMENTED, format!("there is no service {}", request.service));
        };
        let service = service.clone();
        if let Err(error) = sys::spawn("request", move || service.serve(&request, call)) {
            let why = format!("a thread for the request: {error}");
            self.call(header, 0).refuse(Code::UNAVAILABLE, why);
        }
    }

    fn call(&self, header: MessageHeader, timeout: i64) -> Call {
        Call {
            connection: self.number,
            timeout,
            stream: header.stream_id,
            answers: self.answers.clone(),
            caller: self.caller.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tempfile::TempDir;
    use ttrpc::proto::{MESSAGE_TYPE_DATA, Response};

    use super::super::call::{Service, unknown};
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Answers with what it was sent, when it is allowed to.
    struct Echo(Arc<Mutex<()>>);

    impl Service for Echo {
        fn serve(&self, request: &Request, call: Call) {
            if request.method != "Echo" {
                return call.answer(Err(unknown(request)));
            }
            drop(self.0.lock().unwrap());
            call.answer(Ok(request.payload.clone()));
        }
    }

    /// A server with one method, which waits for the lock.
    struct Setting {
        server: Server,
        permission: Arc<Mutex<()>>,
        dir: TempDir,
    }

    impl Setting {
        fn new() -> Setting {
            let dir = TempDir::new().expect("a directory");
            let permission = Arc::new(Mutex::new(()));
            let services: Services = vec![("a.B", Arc::new(Echo(permission.clone())))];
            let listener = UnixListener::bind(dir.path().join("s")).expect("bound");
            Setting { server: Server::start(listener, services).expect("started"), permission, dir }
        }

        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.dir.path().join("s")).expect("it listens");
            stream.set_read_timeout(Some(LONG)).expect("set");
            stream
        }
    }

    fn send(mut stream: &UnixStream, header: MessageHeader, body: &[u8]) {
        stream.write_all(&[&Vec::from(header), body].concat()).expect("sent");
    }

    fn ask(stream: &UnixStream, number: u32, method: &str, payload: &[u8]) {
        let (service, method, payload) = ("a.B".to_owned(), method.to_owned(), payload.to_vec());
        let request = Request { service, method, payload, ..Request::default() };
        let body = request.encode().expect("encodable");
        send(stream, MessageHeader::new_request(number, body.len() as u32), &body);
    }

    /// The next answer: whose, its code and its payload.
    fn answer(stream: &UnixStream) -> Option<(u32, Code, Vec<u8>)> {
        let (header, body) = read(&mut &*stream)?;
        let response = Response::decode(body.expect("short")).expect("an answer");
        Some((header.stream_id, response.status.code(), response.payload))
    }

    #[test]
    fn what_cannot_be_answered_is_refused_and_the_connection_goes_on() {
        let setting = Setting::new();
        let stream = setting.connect();
        ask(&stream, 1, "Other", b"");
        assert_eq!(answer(&stream), Some((1, Code::UNIMPLEMENTED, vec![])));
        send(&stream, MessageHeader::new_request(3, 4), &[0xff; 4]);
        assert_eq!(answer(&stream), Some((3, Code::INVALID_ARGUMENT, vec![])));
        let long = vec![0; MESSAGE_LENGTH_MAX + 1];
        send(&stream, MessageHeader::new_request(7, long.len() as u32), &long);
        assert_eq!(answer(&stream), Some((7, Code::RESOURCE_EXHAUSTED, vec![])));
        send(&stream, MessageHeader { type_: MESSAGE_TYPE_DATA, ..MessageHeader::new_request(9, 1) }, b"x");
        ask(&stream, 11, "Echo", b"well");
        assert_eq!(answer(&stream), Some((11, Code::OK, b"well".to_vec())));
    }

    #[test]
    fn a_slow_request_holds_no_other() {
        let setting = Setting::new();
        let stream = setting.connect();
        let wait = setting.permission.lock().unwrap();
        (0..50).for_each(|number| ask(&stream, number, "Echo", b"slow"));
        ask(&stream, 99, "Other", b"");
        assert_eq!(answer(&stream), Some((99, Code::UNIMPLEMENTED, vec![])));
        drop(wait);
        for _ in 0..50 {
            assert_eq!(answer(&stream).expect("an answer").2, b"slow");
        }
    }

    #[test]
    fn everything_sent_before_the_end_is_answered() {
        let setting = Setting::new();
        let streams: Vec<UnixStream> = (0..5).map(|_| setting.connect()).collect();
        let wait = setting.permission.lock().unwrap();
        for stream in &streams {
            (0..20).for_each(|number| ask(stream, number, "Echo", b"asked"));
        }
        thread::scope(|scope| {
            let finished = scope.spawn(|| setting.server.finish(LONG));
            drop(wait);
            for stream in &streams {
                for _ in 0..20 {
                    assert_eq!(answer(stream).expect("an answer").2, b"asked");
                }
                assert_eq!(answer(stream), None);
            }
            finished.join().expect("no panic");
        });
        assert!(UnixStream::connect(setting.dir.path().join("s")).is_err());
    }

    #[test]
    fn a_client_that_keeps_half_a_request_back_does_not_delay_the_end() {
        let setting = Setting::new();
        let stream = setting.connect();
        send(&stream, MessageHeader::new_request(1, 100), &[0; 50]);
        let begun = Instant::now();
        setting.server.finish(LONG);
        assert!(begun.elapsed() < LONG);
        assert_eq!(answer(&stream), None);
    }

    #[test]
    fn a_request_that_does_not_end_delays_the_end_no_longer_than_allowed() {
        let setting = Setting::new();
        let stream = setting.connect();
        let _never = setting.permission.lock().unwrap();
        ask(&stream, 1, "Echo", b"");
        setting.server.finish(Duration::from_millis(20));
    }
}
