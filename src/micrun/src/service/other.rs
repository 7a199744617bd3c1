//! What we say to containerd's own shim, which serves the Linux containers of our pods.

use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::ShutdownRequest;
use containerd_shim_protos::protobuf::Message;
use ttrpc::{Code, Error, Result};

use super::TASK;
use super::client::Client;

/// It answers within a millisecond; `delete` has five seconds for everything.
const DEADLINE: Duration = Duration::from_secs(1);

/// Asks the server at `socket` to end after the container `id`. It does not while it has other containers.
pub fn shut_down(socket: &Path, id: &str) -> Result<()> {
    let mut client = Client::connect(&socket.display().to_string())?;
    let shutdown = ShutdownRequest { id: id.to_owned(), ..ShutdownRequest::default() };
    let payload = shutdown.write_to_bytes().map_err(|error| Error::Others(error.to_string()))?;
    let mut answer = Ok(());
    for name in TASK {
        answer = client.call(name, "Shutdown", payload.clone(), DEADLINE);
        if !matches!(&answer, Err(Error::RpcStatus(status)) if status.code() == Code::UNIMPLEMENTED) {
            break;
        }
    }
    answer
}
