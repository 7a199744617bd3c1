//! A registry in memory, on a port of this machine: as the protocol says, or not, as a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use firmware::checksum;
use serde_json::{Value, json};

/// Longer than any test's patience.
const FOREVER: Duration = Duration::from_secs(120);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is answered.
pub enum Reply {
    /// Status, headers and body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Nothing, and the connection stays.
    Silence,
    /// A body that is said to be longer than it is; then the end, or silence.
    Torn { said: usize, body: Vec<u8>, silent: bool },
    /// A body without an end.
    Endless,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Answer(status, Vec::new(), Vec::new())
    }

    fn with(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Reply::Answer(status, headers.collect(), body)
    }
}

type Fault = Box<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

/// What a registry keeps.
#[derive(Default)]
pub struct Store {
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// Under digests and tags: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// The registry has a list of referrers.
    pub lists_referrers: bool,
    /// All requests, as `METHOD path`.
    pub log: Vec<String>,
}

/// A registry that runs until the test program ends.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub store: Arc<Mutex<Store>>,
}

impl Server {
    /// A registry. `fault` answers first; what it does not answer, the registry does.
    pub fn start(
        lists_referrers: bool,
        fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let store = Arc::new(Mutex::new(Store { lists_referrers, ..Store::default() }));
        let server = Server { host, store };
        let (serving, fault): (_, Arc<Fault>) = (server.clone(), Arc::new(Box::new(fault)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, fault) = (serving.clone(), Arc::clone(&fault));
                thread::spawn(move || server.serve(&stream, &fault));
            }
        });
        server
    }

    pub fn name(&self) -> String {
        format!("{}/demo/hello:1", self.host)
    }

    pub fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often this was asked for.
    pub fn count(&self, line: &str) -> usize {
        self.store().log.iter().filter(|asked| asked.starts_with(line)).count()
    }

    /// One connection, one request: the client is told to come again.
    fn serve(&self, stream: &TcpStream, fault: &Fault) -> Option<()> {
        let request = read(stream)?;
        self.store().log.push(format!("{} {}", request.method, request.path));
        let reply = fault(&request).unwrap_or_else(|| self.store().answer(&request));
        write(stream, &request, reply)
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn write(mut stream: &TcpStream, request: &Request, reply: Reply) -> Option<()> {
    let head = |status: u16, len: usize, headers: &[(String, String)]| {
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\nConnection: close\r\n{more}\r\n")
    };
    match reply {
        Reply::Answer(status, headers, body) => {
            stream.write_all(head(status, body.len(), &headers).as_bytes()).ok()?;
            stream.write_all(if request.method == "HEAD" { &[] } else { &body }).ok()
        }
        Reply::Silence => {
            thread::sleep(FOREVER);
            None
        }
        Reply::Torn { said, body, silent } => {
            stream.write_all(head(200, said, &[]).as_bytes()).ok()?;
            stream.write_all(&body).ok()?;
            silent.then(|| thread::sleep(FOREVER))
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n").ok()?;
            while stream.write_all(&[b' '; 65536]).is_ok() {}
            None
        }
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", checksum::sha256(bytes))
}

impl Store {
    fn answer(&mut self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(rest) = path.strip_prefix("/v2/demo/hello/") else { return Reply::status(404) };
        let (kind, name) = rest.split_once('/').unwrap_or((rest, ""));
        match (request.method.as_str(), kind) {
            ("POST", "blobs") => {
                Reply::with(202, &[("Location", "/v2/demo/hello/blobs/upload?state=x")], Vec::new())
            }
            ("PUT", "blobs") => {
                let wanted = query.rsplit_once("digest=").map(|(_, digest)| digest.to_owned());
                let actual = digest(&request.body);
                if wanted.as_deref() != Some(&actual) {
                    return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
                }
                self.blobs.insert(actual, request.body.clone());
                Reply::status(201)
            }
            ("GET" | "HEAD", "blobs") => match self.blobs.get(name) {
                Some(blob) => Reply::with(200, &[], blob.clone()),
                None => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            },
            ("PUT", "manifests") => self.put(name, request),
            ("GET" | "HEAD", "manifests") => match self.manifests.get(name) {
                Some((kind, bytes)) => {
                    let digest = digest(bytes);
                    Reply::with(
                        200,
                        &[("Content-Type", kind), ("Docker-Content-Digest", &digest)],
                        bytes.clone(),
                    )
                }
                None => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            },
            ("GET", "referrers") if self.lists_referrers => self.referrers(name),
            _ => Reply::status(404),
        }
    }

    fn put(&mut self, name: &str, request: &Request) -> Reply {
        let kind = request.headers.get("content-type").cloned().unwrap_or_default();
        let document: Value = serde_json::from_slice(&request.body).expect("a document");
        let digests = ["config", "layers", "manifests"].into_iter().flat_map(|key| match &document[key] {
            Value::Array(all) => all.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        });
        for descriptor in digests {
            let digest = descriptor["digest"].as_str().expect("a digest");
            if !self.blobs.contains_key(digest) && !self.manifests.contains_key(digest) {
                return error(400, "MANIFEST_BLOB_UNKNOWN", digest);
            }
        }
        let own = digest(&request.body);
        for key in [name, &own] {
            self.manifests.insert(key.to_owned(), (kind.clone(), request.body.clone()));
        }
        let subject = document["subject"]["digest"].as_str().filter(|_| self.lists_referrers);
        let subject = subject.map(|subject| ("OCI-Subject", subject));
        let headers: Vec<_> = [("Docker-Content-Digest", own.as_str())].into_iter().chain(subject).collect();
        Reply::with(201, &headers, Vec::new())
    }

    fn referrers(&self, subject: &str) -> Reply {
        let mut found = BTreeMap::new();
        for (kind, bytes) in self.manifests.values() {
            let document: Value = serde_json::from_slice(bytes).expect("a document");
            if document["subject"]["digest"] == subject {
                let descriptor = json!({
                    "mediaType": kind, "digest": digest(bytes), "size": bytes.len(),
                    "artifactType": document["artifactType"],
                });
                found.insert(digest(bytes), descriptor);
            }
        }
        let manifests: Vec<Value> = found.into_values().collect();
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
        Reply::with(200, &[("Content-Type", kind)], index.to_string().into_bytes())
    }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    Reply::with(status, &[("Content-Type", "application/json")], body.to_string().into_bytes())
}
