//! The method Wait, answered when the container ends without a thread that waits for it.
//!
//! The ttrpc library runs each request on a thread and has the generated code answer from there. A blocked Wait would
//! cost a thread for as long as the container runs, and one more for each client that attaches and leaves. So this
//! method is registered by hand: it puts the request's context into the container's list of waiters, and the answer goes
//! out from whatever thread sees the end.

use std::sync::Arc;

use containerd_shim_protos::api::{WaitRequest, WaitResponse};
use containerd_shim_protos::protobuf::Message;
use ttrpc::proto::{Code, Request, Response};
use ttrpc::{Error, MethodHandler, Result, TtrpcContext, get_status};

use super::convert;
use super::task::TaskService;
use crate::container::Waiter;
use crate::reactor::Ended;

/// The method.
pub(super) struct WaitMethod {
    pub(super) service: Arc<TaskService>,
}

impl MethodHandler for WaitMethod {
    fn handler(&self, context: TtrpcContext, request: Request) -> Result<()> {
        let waiter = Box::new(Call { context });
        let request = match WaitRequest::parse_from_bytes(&request.payload) {
            Ok(request) => request,
            Err(error) => {
                waiter.answer(Error::RpcStatus(get_status(Code::INVALID_ARGUMENT, error)).into());
                return Ok(());
            }
        };
        match self.service.container(&request.id, &request.exec_id) {
            Ok(container) => container.wait(waiter),
            Err(error) => waiter.answer(Error::from(error).into()),
        }
        Ok(())
    }
}

/// One call of Wait, not answered yet.
struct Call {
    context: TtrpcContext,
}

impl Call {
    fn answer(&self, response: Response) {
        // Fails only if the connection is gone, and then nobody waits.
        let _ = self.context.respond(self.context.mh.stream_id, response);
    }
}

impl Waiter for Call {
    fn gone(&self) -> bool {
        // Nothing is ever sent there: the library closes the channel with the connection.
        self.context.cancel_rx.try_recv().is_err_and(|error| error.is_disconnected())
    }

    fn tell(self: Box<Self>, ended: Ended) {
        let response = WaitResponse {
            exit_status: ended.status,
            exited_at: convert::timestamp(ended.at),
            ..WaitResponse::default()
        };
        // Writing to memory fails only for messages over 2 GiB.
        let payload = response.write_to_bytes().unwrap_or_default();
        let status = Some(get_status(Code::OK, "")).into();
        self.answer(Response { status, payload, ..Response::default() });
    }
}
