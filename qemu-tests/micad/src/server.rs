//! The one thread that serves all sockets, one connection after the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::AsRawFd;

use crate::Options;
use crate::instance::{Answer, Instance};
use crate::message::{Create, LEN};
use crate::node::Node;
use crate::wire::Exchange;

/// The listener of the messages that create instances, and its place in the list of names.
const CREATE: &str = "mica-create";
/// Bytes of a command that are read.
const COMMAND: usize = 32;
const SUCCESS: &[u8] = b"MICA-SUCCESS";
const FAILURE: &[u8] = b"MICA-FAILED";

pub(crate) struct Server {
    options: Arc<Mutex<Options>>,
    node: Arc<Node>,
    log: Arc<Mutex<Vec<Exchange>>>,
    /// Readable when it is to end.
    ended: OwnedFd,
    listeners: BTreeMap<String, UnixListener>,
    instances: BTreeMap<String, Instance>,
    notifier: Arc<Mutex<()>>,
}

impl Server {
    pub(crate) fn new(
        options: Arc<Mutex<Options>>,
        node: Arc<Node>,
        log: Arc<Mutex<Vec<Exchange>>>,
        ended: OwnedFd,
    ) -> io::Result<Server> {
        let mut server = Server {
            options,
            node,
            log,
            ended,
            listeners: BTreeMap::new(),
            instances: BTreeMap::new(),
            notifier: Arc::default(),
        };
        server.listen(CREATE)?;
        Ok(server)
    }

    fn options(&self) -> Options {
        self.options.lock().unwrap().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.options().sockets.join(format!("{name}.socket"))
    }

    fn listen(&mut self, name: &str) -> io::Result<()> {
        let listener = UnixListener::bind(self.path(name))?;
        self.listeners.insert(name.to_owned(), listener);
        Ok(())
    }

    pub(crate) fn run(mut self) {
        while let Some(ready) = self.wait() {
            self.bind();
            for name in ready {
                let accepted = self.listeners.get(&name).and_then(|listener| listener.accept().ok());
                if let Some((stream, _)) = accepted
                    && self.serve(&name, stream).is_none()
                {
                    return self.end();
                }
            }
        }
        self.end();
    }

    fn end(self) {
        self.instances.into_values().for_each(Instance::lose);
    }

    /// Sockets on which somebody waits; `None` if it is to end.
    fn wait(&self) -> Option<Vec<String>> {
        let next = self.instances.values().filter_map(Instance::announces).min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let timeout =
            left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let listeners = self.listeners.values().map(AsFd::as_fd);
        let mut waited: Vec<_> = [self.ended.as_fd()].into_iter().chain(listeners).map(readable).collect();
        let _ = poll(&mut waited, timeout);
        let mut ready = waited.iter().map(|one| one.any().unwrap_or(false));
        if ready.next() == Some(true) {
            return None;
        }
        let names = self.listeners.keys().zip(ready);
        Some(names.filter(|(_, ready)| *ready).map(|(name, _)| name.clone()).collect())
    }

    /// Binds what firmware has announced; another thread does that in life, but not while a start is under way either.
    fn bind(&mut self) {
        let options = self.options();
        let mut used: Vec<PathBuf> = self.instances.values().filter_map(Instance::link).collect();
        for instance in self.instances.values_mut() {
            instance.bind(&options, &used, &self.notifier);
            used.extend(instance.link());
        }
    }

    /// One request and its reply; `None` if it is to end.
    fn serve(&mut self, socket: &str, stream: UnixStream) -> Option<()> {
        let most = if socket == CREATE { LEN } else { COMMAND };
        let mut request = vec![0; most];
        self.until_readable(stream.as_fd())?;
        let received = recv(stream.as_raw_fd(), &mut request, MsgFlags::empty());
        let Ok(len) = received else {
            self.reply(socket, &[], stream, &Err(String::new()));
            return Some(());
        };
        request.truncate(len);
        let answer = self.answer(socket, &request)?;
        self.reply(socket, &request, stream, &answer);
        Some(())
    }

    /// Waits for a client, however long it says nothing.
    fn until_readable(&self, client: BorrowedFd<'_>) -> Option<()> {
        let mut waited = [readable(self.ended.as_fd()), readable(client)];
        let _ = poll(&mut waited, PollTimeout::NONE);
        (!waited[0].any().unwrap_or(false)).then_some(())
    }

    /// `None` if it is to end meanwhile.
    fn answer(&mut self, socket: &str, request: &[u8]) -> Option<Answer> {
        let text = request.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        let word = if socket == CREATE { "create" } else { text.split(' ').next().unwrap_or_default() };
        let options = self.options();
        if let Some(delay) = options.delays.get(word) {
            self.sleep(*delay)?;
        }
        let fails = options.failures.iter().any(|failing| *failing == word || *failing == text);
        Some(if socket == CREATE {
            if fails { Err(String::new()) } else { self.create(&Create::decode(request)) }
        } else {
            self.command(socket, &text, fails)
        })
    }

    fn sleep(&self, delay: Duration) -> Option<()> {
        let mut waited = [readable(self.ended.as_fd())];
        let _ = poll(&mut waited, PollTimeout::try_from(delay).unwrap_or(PollTimeout::MAX));
        (!waited[0].any().unwrap_or(false)).then_some(())
    }

    fn create(&mut self, create: &Create) -> Answer {
        if fs::metadata(&create.path).is_err() {
            return Err(format!("No such file: {}", create.path));
        }
        if self.listeners.contains_key(&create.name) {
            return Err(format!("{} is already created", create.name));
        }
        self.node.init(create).map_err(|()| String::new())?;
        self.listen(&create.name).map_err(|_| String::new())?;
        self.instances.insert(create.name.clone(), Instance::new(create.clone()));
        Ok(String::new())
    }

    fn command(&mut self, name: &str, text: &str, fails: bool) -> Answer {
        let Some(instance) = self.instances.get_mut(name) else { return Err(String::new()) };
        match text {
            "start" if fails => Err(String::new()),
            "start" => instance.start(&self.node, &self.options.lock().unwrap().clone()),
            // There is no way in which it could fail.
            "stop" => {
                instance.stop(&self.node);
                Ok(String::new())
            }
            _ if fails => Err(String::new()),
            "rm" => {
                instance.stop(&self.node);
                self.instances.remove(name);
                self.listeners.remove(name);
                let _ = fs::remove_file(self.path(name));
                Ok(String::new())
            }
            text if text.starts_with("set") => {
                instance.set(&text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>())
            }
            "status" => Ok(instance.status(&self.node)),
            "gdb" => instance.gdb(),
            text => Err(format!("Invalid command: {text}")),
        }
    }

    /// Text and verdict are sent one after the other.
    fn reply(&self, socket: &str, request: &[u8], mut stream: UnixStream, answer: &Answer) {
        let (text, verdict) = match answer {
            Ok(text) => (text, SUCCESS),
            Err(text) => (text, FAILURE),
        };
        let replies: Vec<Vec<u8>> = [text.as_bytes(), verdict]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let (socket, request) = (format!("{socket}.socket"), request.to_vec());
        // Before the client can know.
        self.log.lock().unwrap().push(Exchange { socket, request, replies: replies.clone() });
        let pieces = if self.options().trickle { 1 } else { usize::MAX };
        for piece in replies.iter().flat_map(|reply| reply.chunks(pieces)) {
            // A client that has gone is nobody's concern.
            if stream.write_all(piece).is_err() {
                return;
            }
            if pieces == 1 {
                thread::yield_now();
            }
        }
    }
}

fn readable(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::POLLIN)
}
