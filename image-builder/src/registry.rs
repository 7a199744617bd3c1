//! A registry, or rather one repository of it, by the OCI distribution protocol 1.1.
//!
//! Everything that comes from it is bounded: the length of every answer, the time without a byte, the redirects, the tries.
//! HTTP and TLS are those of `ureq`; what is above them is here, because the clients that there are read answers of any
//! length into memory (see `docs/adr/0008-our-own-registry-client.md`).

mod auth;
mod credentials;
mod error;
mod referrers;
mod transfer;

use std::cell::RefCell;
use std::io::{self, Read};
use std::thread::sleep;
use std::time::Duration;

use ureq::http::{Method, Request, Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use crate::remote::Remote;

pub use error::RegistryError;
pub use transfer::Fetched;

/// Tries of one request, with a pause before each further one.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);
const MAX_REDIRECTS: u32 = 5;
/// Longest message of a registry that is read.
const MAX_COMPLAINT: u64 = 16 << 10;

/// How a registry is talked to.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Without TLS.
    pub plain_http: bool,
    /// How long it may be silent.
    pub timeout: Duration,
}

/// A repository of a registry. Nothing is sent before it is asked for something.
#[derive(Debug)]
pub struct Registry {
    agent: Agent,
    /// `https://HOST/`
    origin: String,
    remote: Remote,
    /// The header that the registry wanted, as soon as it has said so.
    authorization: RefCell<Option<String>>,
}

/// What a request carries.
enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    Stream(&'a mut dyn Read, u64),
}

type Headers<'a> = &'a [(header::HeaderName, &'a str)];

impl Registry {
    /// The repository of an image.
    pub fn new(remote: &Remote, options: Options) -> Registry {
        let timeout = Some(options.timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!options.plain_http)
            .max_redirects(MAX_REDIRECTS)
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .user_agent(concat!("micrun-image-builder/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots()).build())
            .build();
        let scheme = if options.plain_http { "http" } else { "https" };
        Registry {
            agent: Agent::new_with_config(config),
            origin: format!("{scheme}://{}/", remote.host()),
            remote: remote.clone(),
            authorization: RefCell::default(),
        }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}v2/{}/{rest}", self.origin, self.remote.path())
    }

    /// Asks until there is an answer that is not one to try again after.
    fn call(
        &self,
        method: &Method,
        url: &str,
        headers: Headers<'_>,
        bytes: Option<&[u8]>,
    ) -> Result<Response<Body>, RegistryError> {
        let mut tries = 1;
        loop {
            let payload = || bytes.map_or(Payload::None, Payload::Bytes);
            let mut answer = self.send(method, url, headers, payload());
            if let Ok(refused) = &answer
                && refused.status() == StatusCode::UNAUTHORIZED
            {
                self.sign_in(url, refused.headers(), method != Method::GET && method != Method::HEAD)?;
                answer = self.send(method, url, headers, payload());
            }
            let again = match &answer {
                Ok(answer) => is_passing(answer.status()),
                Err(error) => error.is_passing(),
            };
            if !again || tries == TRIES {
                return answer;
            }
            sleep(PAUSE * 4_u32.pow(tries - 1));
            tries += 1;
        }
    }

    /// Asks once.
    fn send(
        &self,
        method: &Method,
        url: &str,
        headers: Headers<'_>,
        payload: Payload<'_>,
    ) -> Result<Response<Body>, RegistryError> {
        let failed = |source| RegistryError::http(url, source);
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        // The registry's word of where to go on may lead to others, who must not learn it.
        if let Some(authorization) =
            self.authorization.borrow().as_ref().filter(|_| url.starts_with(&self.origin))
        {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let built = |error: ureq::http::Error| RegistryError::http(url, error.into());
        match payload {
            Payload::None => self.agent.run(request.body(()).map_err(built)?).map_err(failed),
            Payload::Bytes(bytes) => self.agent.run(request.body(bytes).map_err(built)?).map_err(failed),
            Payload::Stream(reader, len) => {
                let request = request.header(header::CONTENT_LENGTH, len).body(SendBody::from_reader(reader));
                self.agent.run(request.map_err(built)?).map_err(failed)
            }
        }
    }
}

/// The certificates that this machine trusts; Mozilla's where it has none.
fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    let own: Vec<_> = found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    if own.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&own) }
}

/// True if it may go better in a moment.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// All bytes of an answer, at most `limit`.
fn whole(url: &str, answer: Response<Body>, limit: u64) -> Result<Vec<u8>, RegistryError> {
    let read = answer.into_body().into_with_config().limit(limit).read_to_vec();
    read.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => RegistryError::TooLong { url: url.to_owned(), limit },
        error => RegistryError::http(url, error),
    })
}

/// The answer, if its status is `wanted`.
fn expect(url: &str, answer: Response<Body>, wanted: StatusCode) -> Result<Response<Body>, RegistryError> {
    if answer.status() == wanted { Ok(answer) } else { Err(refused(url, answer)) }
}

/// What the registry says is wrong.
fn refused(url: &str, answer: Response<Body>) -> RegistryError {
    let status = answer.status();
    let mut complaint = Vec::new();
    // Whatever cannot be read of it is not told.
    let _: io::Result<usize> =
        answer.into_body().into_reader().take(MAX_COMPLAINT).read_to_end(&mut complaint);
    RegistryError::refused(url, status, &complaint)
}
