//! The methods that wait for an end (Wait, WaitSandbox), answered without a thread that waits.
//!
//! Each request runs on a thread (`server.rs`), and the generated code answers from there. A blocked Wait would
//! cost a thread for as long as the container runs, and one more for each client that attaches and leaves. So these
//! methods are registered by hand: they put the request's context into a list of waiters, and the answer goes out from
//! whatever thread sees the end.

use containerd_shim_protos::protobuf::Message;
use ttrpc::proto::{Code, Request, Response};
use ttrpc::{Error, MethodHandler, Result, TtrpcContext, get_status};

use crate::reactor::Ended;
use crate::waiters::Waiter;

/// Puts a waiter into the list that a request is about.
pub(super) type Register = Box<dyn FnOnce(Box<dyn Waiter>)>;

/// One such method.
pub(super) struct WaitMethod<F> {
    /// Finds the list.
    pub(super) find: F,
    /// The payload of the answer.
    pub(super) encode: fn(Ended) -> Vec<u8>,
}

impl<F: Fn(&[u8]) -> Result<Register>> MethodHandler for WaitMethod<F> {
    fn handler(&self, context: TtrpcContext, request: Request) -> Result<()> {
        let call = Box::new(Call { context, encode: self.encode });
        match (self.find)(&request.payload) {
            Ok(register) => register(call),
            Err(error) => call.answer(error.into()),
        }
        Ok(())
    }
}

/// Reads a request.
pub(super) fn parse<M: Message>(payload: &[u8]) -> Result<M> {
    M::parse_from_bytes(payload).map_err(|error| Error::RpcStatus(get_status(Code::INVALID_ARGUMENT, error)))
}

/// One call, not answered yet.
struct Call {
    context: TtrpcContext,
    encode: fn(Ended) -> Vec<u8>,
}

impl Call {
    fn answer(&self, response: Response) {
        // Fails only if the connection is gone, and then nobody waits.
        let _ = self.context.respond(self.context.mh.stream_id, response);
    }
}

impl Waiter for Call {
    fn gone(&self) -> bool {
        // Nothing is ever sent there: the other end is dropped with the connection.
        self.context.cancel_rx.try_recv().is_err_and(|error| error.is_disconnected())
    }

    fn tell(self: Box<Self>, ended: Ended) {
        let status = Some(get_status(Code::OK, "")).into();
        self.answer(Response { status, payload: (self.encode)(ended), ..Response::default() });
    }
}
