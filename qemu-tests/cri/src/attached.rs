//! A stream to a container's console over a web socket, as `kubectl attach` has one through the kubelet.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use qemu_tests::{DEADLINE, PROMPT};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message, WebSocket, connect};

/// Each binary message begins with the number of its channel.
const PROTOCOL: &str = "v4.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// Carries one JSON object with the outcome when all is over.
const STATUS: u8 = 3;
/// How long one look at the socket may take, so that a deadline is seen in time.
const LOOK: Duration = Duration::from_millis(50);

/// An open stream. Dropping it detaches; the container goes on.
#[derive(Debug)]
pub struct Attached {
    socket: WebSocket<MaybeTlsStream<std::net::TcpStream>>,
    unread: Vec<u8>,
    status: Option<String>,
}

impl Attached {
    /// Opens the stream that the runtime offers at `url` (`http://127.0.0.1:PORT/attach/TOKEN`).
    ///
    /// # Errors
    /// Nobody answers, or the answer is another protocol.
    pub fn open(url: &str) -> Result<Self> {
        let url = url.replacen("http://", "ws://", 1);
        let request = ClientRequestBuilder::new(url.parse()?).with_sub_protocol(PROTOCOL);
        let (socket, _) = connect(request).with_context(|| url.clone())?;
        match socket.get_ref() {
            MaybeTlsStream::Plain(stream) => stream.set_read_timeout(Some(LOOK))?,
            _ => bail!("{url}: not a plain connection"),
        }
        Ok(Self { socket, unread: Vec::new(), status: None })
    }

    /// Types `keys`.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn send(&mut self, keys: &[u8]) -> Result<()> {
        let message = [&[STDIN], keys].concat();
        self.socket.send(Message::binary(message)).context("cannot type")
    }

    /// Reads on until `pattern` has come; gives everything since the last reading, `pattern` included.
    ///
    /// # Errors
    /// `pattern` has not come by the deadline or by the end of the stream; the error shows what came instead.
    pub fn expect(&mut self, pattern: &str) -> Result<String> {
        let end = Instant::now() + DEADLINE;
        loop {
            let found = self.unread.windows(pattern.len()).position(|window| window == pattern.as_bytes());
            if let Some(at) = found {
                let seen: Vec<u8> = self.unread.drain(..at + pattern.len()).collect();
                return Ok(String::from_utf8_lossy(&seen).into_owned());
            }
            if Instant::now() > end || !self.read_on()? {
                let said = String::from_utf8_lossy(&self.unread);
                bail!("no {pattern:?} but {said:?}, status {:?}", self.status);
            }
        }
    }

    /// Has the test RTOS answer, whether or not it has said its first words to somebody else before.
    ///
    /// # Errors
    /// It does not answer in time.
    pub fn greet(&mut self) -> Result<()> {
        self.send(b"echo here\r")?;
        self.expect(&format!("\r\nhere\r\n{PROMPT}")).map(drop)
    }

    /// Types a command at the test RTOS's prompt and gives the answer, without the echo and the next prompt.
    ///
    /// # Errors
    /// There is no next prompt in time, or something else than the echo comes first.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.send(format!("{command}\r").as_bytes())?;
        let said = self.expect(PROMPT)?;
        let answer = said.strip_prefix(&format!("{command}\r\n")).and_then(|said| said.strip_suffix(PROMPT));
        Ok(answer.with_context(|| format!("{command}: {said:?}"))?.to_owned())
    }

    /// Reads to the end of the stream and gives the last word of the runtime, a JSON object.
    ///
    /// # Errors
    /// The stream has not ended by the deadline, or ended without a status.
    pub fn status(&mut self) -> Result<String> {
        let end = Instant::now() + DEADLINE;
        while self.read_on()? {
            if Instant::now() > end {
                bail!("the stream has not ended");
            }
        }
        self.status.clone().context("the stream ended without a status")
    }

    /// Takes what is there, or waits a moment for it; `false` at the end of the stream.
    fn read_on(&mut self) -> Result<bool> {
        match self.socket.read() {
            Ok(Message::Binary(message)) => self.sort(&message)?,
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(false),
            Ok(_) => {}
            Err(Error::Io(error)) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
            }
            Err(error) => return Err(anyhow!(error).context("the stream broke")),
        }
        Ok(true)
    }

    fn sort(&mut self, message: &[u8]) -> Result<()> {
        match message.split_first() {
            Some((&(STDOUT | STDERR), text)) => self.unread.extend_from_slice(text),
            Some((&STATUS, status)) if !status.is_empty() => {
                self.status = Some(String::from_utf8_lossy(status).into_owned());
            }
            // An empty message opens the channel.
            Some((_, [])) => {}
            other => bail!("unexpected message {other:?}"),
        }
        Ok(())
    }
}
