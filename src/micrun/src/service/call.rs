//! A request under way: what its method may know of the caller, and its answer.

use std::os::fd::RawFd;
use std::sync::Weak;
use std::sync::mpsc::Sender;

use containerd_shim_protos::protobuf::Message;
use ttrpc::proto::{Code, Codec, MESSAGE_LENGTH_MAX, MessageHeader, Request, Response};
use ttrpc::{Error, Result, get_status};

use super::convert::encoded;
use crate::error;
use crate::reactor::Ended;
use crate::waiters::Waiter;

/// The longest payload of an answer: room is left for its frame.
const PAYLOAD_MAX: usize = MESSAGE_LENGTH_MAX - 64;

/// The methods behind one name, or several.
pub trait Service: Send + Sync {
    /// Has `call` answered, now or later.
    fn serve(&self, request: &Request, call: Call);
}

/// A request that is to be answered.
pub struct Call {
    /// Descriptor of the caller's connection, open as long as the caller is there.
    pub(super) connection: RawFd,
    /// How long the caller waits, in nanoseconds; 0 for ever, as ttrpc has it.
    pub(super) timeout: i64,
    pub(super) stream: u32,
    /// To whoever writes to the connection: whole frames.
    pub(super) answers: Sender<Vec<u8>>,
    /// Nobody holds it any more when the caller has gone.
    pub(super) caller: Weak<()>,
}

impl Call {
    pub(super) fn answer(&self, answer: Result<Vec<u8>>) {
        let (status, payload) = match answer {
            Ok(payload) if payload.len() <= PAYLOAD_MAX => (get_status(Code::OK, ""), payload),
            Ok(payload) => {
                let why =
                    format!("the answer has {} bytes, at most {PAYLOAD_MAX} are allowed", payload.len());
                (get_status(Code::RESOURCE_EXHAUSTED, why), Vec::new())
            }
            Err(Error::RpcStatus(status)) => (status, Vec::new()),
            Err(error) => (get_status(Code::UNKNOWN, error), Vec::new()),
        };
        let response = Response { status: Some(status).into(), payload, ..Response::default() };
        // Writing to memory fails only for messages over 2 GiB.
        let body = response.encode().unwrap_or_default();
        let header = MessageHeader::new_response(self.stream, body.len() as u32);
        // Fails only if the connection is gone, and then nobody waits.
        let _ = self.answers.send([Vec::from(header), body].concat());
    }

    pub(super) fn refuse(&self, code: Code, why: String) {
        self.answer(Err(Error::RpcStatus(get_status(code, why))));
    }

    /// Answers with what `encode` makes of an end, once `register` has told it. A blocked Wait would cost a thread for as
    /// long as the container runs, and one more for each client that attaches and leaves: it is an entry in a list.
    pub(super) fn wait(self, register: Result<Register>, encode: fn(Ended) -> Vec<u8>) {
        match register {
            Ok(register) => register(Box::new(Waiting { call: self, encode })),
            Err(error) => self.answer(Err(error)),
        }
    }
}

/// The answer of `method` to a request.
pub(super) fn reply<Q: Message, A: Message>(
    request: &Request,
    method: impl FnOnce(Q) -> std::result::Result<A, error::Error>,
) -> Result<Vec<u8>> {
    Ok(encoded(&method(parse(request)?)?))
}

/// Reads a request.
pub(super) fn parse<M: Message>(request: &Request) -> Result<M> {
    M::parse_from_bytes(&request.payload).map_err(|error| refusal(Code::INVALID_ARGUMENT, request, &error))
}

/// What a service answers to a method that it does not have.
pub(super) fn unknown(request: &Request) -> Error {
    refusal(Code::UNIMPLEMENTED, request, &"there is no such method")
}

fn refusal(code: Code, request: &Request, why: &dyn std::fmt::Display) -> Error {
    Error::RpcStatus(get_status(code, format!("/{}/{}: {why}", request.service, request.method)))
}

/// Puts a waiter into the list that a request is about.
pub(super) type Register = Box<dyn FnOnce(Box<dyn Waiter>)>;

/// A call that is answered at an end.
struct Waiting {
    call: Call,
    encode: fn(Ended) -> Vec<u8>,
}

impl Waiter for Waiting {
    fn gone(&self) -> bool {
        self.call.caller.strong_count() == 0
    }

    fn tell(self: Box<Self>, ended: Ended) {
        self.call.answer(Ok((self.encode)(ended)));
    }
}
