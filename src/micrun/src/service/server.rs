//! The server: the ttrpc library's messages and methods on threads of our own.
//!
//! The library's own server, when it is shut down, forgets what it has received and not yet begun to answer. Here
//! everything that was sent before the end is answered before the end. A connection holds two threads, one that reads
//! and one that writes, and each request under way one more.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam::channel as crossbeam;
use nix::sys::socket::{Shutdown, shutdown};
use ttrpc::proto::{
    Code, Codec, MESSAGE_HEADER_LENGTH, MESSAGE_LENGTH_MAX, MESSAGE_TYPE_REQUEST, MessageHeader, Request,
};
use ttrpc::{ConnectionContext, Error, TtrpcContext, context, get_status, send_response};

use super::Methods;
use crate::sys;
use crate::vec_map::VecMap;

/// Pause after a connection could not be accepted: memory or descriptors are short, and asking at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A message with its header.
type Frame = (MessageHeader, Vec<u8>);

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
    /// Starts to serve `methods` to whoever connects.
    pub fn start(listener: UnixListener, methods: Methods) -> io::Result<Server> {
        let server = Server { listener: Arc::new(listener), connections: Arc::default() };
        let (listener, connections) = (server.listener.clone(), server.connections.clone());
        let methods = Arc::new(methods);
        let accept = move || {
            accept(&listener, &connections, &methods);
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
fn accept(listener: &UnixListener, connections: &Arc<Connections>, methods: &Arc<Methods>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => connections.admit(stream, methods),
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
    fn admit(self: &Arc<Self>, stream: UnixStream, methods: &Arc<Methods>) {
        let (number, stream) = (stream.as_raw_fd(), Arc::new(stream));
        self.state.lock().unwrap().open.insert(number, stream.clone());
        let (connections, methods) = (self.clone(), methods.clone());
        let serve = move || {
            let served = serve(&stream, &methods);
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
fn serve(stream: &Arc<UnixStream>, methods: &Arc<Methods>) -> io::Result<()> {
    let (answers, queue) = channel();
    // Nothing is ever sent there: a request whose client is gone sees that the other end is dropped.
    let (_present, gone) = crossbeam::bounded(0);
    let conversation = Conversation { number: stream.as_raw_fd(), answers, gone, context: Arc::default() };
    let writing = stream.clone();
    let writer = sys::spawn("answers", move || write(&writing, &queue))?;
    while let Some(frame) = read(&mut &**stream) {
        conversation.dispatch(frame, methods);
    }
    drop((conversation, _present));
    // It ends with the last request that may still be answered.
    let _ = writer.join();
    Ok(())
}

/// Writes answers until nobody can give any more, or the client does not take them.
fn write(mut stream: &UnixStream, queue: &Receiver<Frame>) {
    for (header, body) in queue {
        let frame = [Vec::from(header), body].concat();
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
    answers: Sender<Frame>,
    gone: crossbeam::Receiver<()>,
    context: Arc<ConnectionContext>,
}

impl Conversation {
    /// Has a request answered on a thread of its own.
    fn dispatch(&self, (header, body): (MessageHeader, Option<Vec<u8>>), methods: &Arc<Methods>) {
        // Other types belong to streaming methods, of which there are none.
        if header.type_ != MESSAGE_TYPE_REQUEST {
            return;
        }
        let refuse = |code, why: String| refuse(&self.answers, &self.context, header.stream_id, code, why);
        let Some(body) = body else {
            let (len, most) = (header.length, MESSAGE_LENGTH_MAX);
            return refuse(
                Code::RESOURCE_EXHAUSTED,
                format!("request of {len} bytes, at most {most} are allowed"),
            );
        };
        let request = match Request::decode(&body) {
            Ok(request) => request,
            Err(error) => return refuse(Code::INVALID_ARGUMENT, format!("request: {error}")),
        };
        let path = format!("/{}/{}", request.service, request.method);
        if !methods.contains_key(&path) {
            return refuse(Code::UNIMPLEMENTED, format!("there is no method {path}"));
        }
        let context = TtrpcContext {
            fd: self.number,
            cancel_rx: self.gone.clone(),
            mh: header,
            res_tx: self.answers.clone(),
            metadata: context::from_pb(&request.metadata),
            timeout_nano: request.timeout_nano,
            conn_ctx: self.context.clone(),
        };
        let methods = methods.clone();
        if let Err(error) = sys::spawn("request", move || call(&methods, &path, context, request)) {
            refuse(Code::UNAVAILABLE, format!("a thread for the request: {error}"));
        }
    }
}

/// Calls a method, which answers by itself unless it does not understand the message.
fn call(methods: &Methods, path: &str, context: TtrpcContext, request: Request) {
    let Some(method) = methods.get(path) else { return };
    let (answers, connection, stream) =
        (context.res_tx.clone(), context.conn_ctx.clone(), context.mh.stream_id);
    if let Err(error) = method.handler(context, request) {
        refuse(&answers, &connection, stream, Code::INVALID_ARGUMENT, format!("{path}: {error}"));
    }
}

fn refuse(answers: &Sender<Frame>, connection: &ConnectionContext, stream: u32, code: Code, why: String) {
    let response = Error::RpcStatus(get_status(code, why)).into();
    // Fails only if the connection is gone.
    let _ = send_response(stream, response, answers.clone(), connection);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tempfile::TempDir;
    use ttrpc::proto::{MESSAGE_TYPE_DATA, Response};
    use ttrpc::{MethodHandler, Result};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Answers with what it was sent, when it is allowed to.
    struct Echo(Arc<Mutex<()>>);

    impl MethodHandler for Echo {
        fn handler(&self, context: TtrpcContext, request: Request) -> Result<()> {
            if request.payload == b"bad" {
                return Err(Error::Others("no message".to_owned()));
            }
            drop(self.0.lock().unwrap());
            let status = Some(get_status(Code::OK, "")).into();
            let response = Response { status, payload: request.payload, ..Response::default() };
            context.respond(context.mh.stream_id, response)
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
            let mut methods = Methods::new();
            methods.insert("/a.B/Echo".to_owned(), Box::new(Echo(permission.clone())));
            let listener = UnixListener::bind(dir.path().join("s")).expect("bound");
            Setting { server: Server::start(listener, methods).expect("started"), permission, dir }
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
        ask(&stream, 5, "Echo", b"bad");
        assert_eq!(answer(&stream), Some((5, Code::INVALID_ARGUMENT, vec![])));
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
