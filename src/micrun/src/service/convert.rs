//! Between protobuf messages and our own types.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use containerd_shim_protos::api::{CreateTaskRequest, DeleteResponse, UpdateTaskRequest};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::protobuf::{Message, MessageField};

use super::options::options;
use crate::console::Streams;
use crate::container::Request;
use crate::error::Error;
use crate::reactor::Ended;
use crate::rootfs::Mount;

/// containerd's name for OCI's `LinuxResources` in JSON.
const RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/// `timeout`: how long the caller waits, in nanoseconds; 0 for ever, as ttrpc has it.
pub(super) fn request(request: CreateTaskRequest, timeout: i64) -> Request {
    let mount = |mount: containerd_shim_protos::api::Mount| Mount {
        kind: mount.type_,
        source: mount.source,
        options: mount.options,
    };
    Request {
        id: request.id,
        bundle: request.bundle.into(),
        mounts: request.rootfs.into_iter().map(mount).collect(),
        streams: Streams {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        },
        deadline: deadline(timeout),
        options: options(request.options.as_ref()),
    }
}

fn deadline(timeout: i64) -> Option<Instant> {
    let timeout = u64::try_from(timeout).ok().filter(|timeout| *timeout > 0)?;
    Instant::now().checked_add(Duration::from_nanos(timeout))
}

/// What an Update is to change, in JSON. containerd passes on what its client has sent.
pub(super) fn resources(request: UpdateTaskRequest) -> Result<Vec<u8>, Error> {
    match request.resources.into_option() {
        None => Ok(b"{}".to_vec()),
        Some(any) if any.type_url == RESOURCES => Ok(any.value),
        Some(any) => Err(Error::ResourcesType { found: any.type_url, needed: RESOURCES }),
    }
}

pub(super) fn timestamp(at: SystemTime) -> MessageField<Timestamp> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, nanos) = (since.as_secs() as i64, since.subsec_nanos() as i32);
    MessageField::some(Timestamp { seconds, nanos, ..Timestamp::default() })
}

/// An `Any` by containerd's rule: the bare full name, no `type.googleapis.com/`.
pub(super) fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: name.to_owned(), value: encoded(message), ..Any::default() }
}

/// The bytes of a message.
pub(super) fn encoded(message: &impl Message) -> Vec<u8> {
    // Writing to memory fails only for messages over 2 GiB.
    message.write_to_bytes().unwrap_or_default()
}

/// The answer to Delete and of the `delete` call.
pub fn delete_response(pid: u32, ended: Ended) -> DeleteResponse {
    DeleteResponse {
        pid,
        exit_status: ended.status,
        exited_at: timestamp(ended.at),
        ..DeleteResponse::default()
    }
}
