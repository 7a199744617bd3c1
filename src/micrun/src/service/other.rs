//! What we say to containerd's own shim, which serves the Linux containers of our pods.

use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::ShutdownRequest;
use containerd_shim_protos::protobuf::Message;
use ttrpc::proto::Request;
use ttrpc::{Client, Code, Error, Result};

use super::VERSIONS;

/// It answers within a millisecond; `delete` has five seconds for everything.
const DEADLINE: Duration = Duration::from_secs(1);

/// Asks the server at `socket` to end after the container `id`. It does not while it has other containers.
pub fn shut_down(socket: &Path, id: &str) -> Result<()> {
    let client = Client::connect(&format!("unix://{}", socket.display()))?;
    let shutdown = ShutdownRequest { id: id.to_owned(), ..ShutdownRequest::default() };
    let payload = shutdown.write_to_bytes().map_err(|error| Error::Others(error.to_string()))?;
    let mut answer = Ok(());
    for version in VERSIONS {
        let request = Request {
            service: version.trim_matches('/').to_owned(),
            method: "Shutdown".to_owned(),
            timeout_nano: i64::try_from(DEADLINE.as_nanos()).unwrap_or(i64::MAX),
            payload: payload.clone(),
            ..Request::default()
        };
        answer = client.request(request).map(drop);
        if !matches!(&answer, Err(Error::RpcStatus(status)) if status.code() == Code::UNIMPLEMENTED) {
            break;
        }
    }
    answer
}
