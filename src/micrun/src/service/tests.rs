//! The services without a connection: which methods they have, and what they make of requests.

use std::sync::mpsc::channel;

use containerd_shim_protos::sandbox_sync::{Sandbox as GeneratedSandbox, create_sandbox};
use containerd_shim_protos::{Task, create_task};
use ttrpc::proto::{Code, Codec, MESSAGE_HEADER_LENGTH, Request, Response, Status};

use super::call::Call;
use super::*;
use crate::container::Surroundings;
use crate::events::Events;
use crate::pedestal::nursery::Nursery;
use crate::reactor::Reactor;
use crate::sandbox::Sandbox;

/// What containerd's own code generator knows of.
struct Generated;
impl Task for Generated {}
impl GeneratedSandbox for Generated {}

fn all() -> Services {
    let reactor = Reactor::start().expect("a thread");
    let surroundings = Surroundings {
        reactor,
        events: Events::new().0,
        namespace: "default".into(),
        nursery: Nursery::new().0,
    };
    let sandbox = Arc::new(Sandbox::new(surroundings));
    let end = Arc::new(End::new(Box::new(|_| {})));
    services(TaskService::new(sandbox.clone(), end.clone()), SandboxService::new(sandbox, end))
}

/// How a request with this payload is answered.
fn ask(services: &Services, path: &str, payload: &[u8]) -> Status {
    let (service, method) = path.trim_matches('/').split_once('/').expect("a path");
    let (answers, answer) = channel();
    let caller = Arc::new(());
    let call = Call { connection: 0, timeout: 0, stream: 1, answers, caller: Arc::downgrade(&caller) };
    let request = Request {
        service: service.to_owned(),
        method: method.to_owned(),
        payload: payload.to_vec(),
        ..Request::default()
    };
    let (_, served) = services.iter().find(|(name, _)| *name == service).expect("it is served");
    served.serve(&request, call);
    let frame = answer.recv().expect("an answer");
    Response::decode(&frame[MESSAGE_HEADER_LENGTH..]).expect("a message").status.unwrap_or_default()
}

/// Every path that containerd may call.
fn paths() -> Vec<String> {
    let tasks: Vec<String> = create_task(Arc::new(Generated)).into_keys().collect();
    let older = tasks.iter().map(|path| path.replace(TASK[0], TASK[1])).collect();
    let pods = create_sandbox(Arc::new(Generated)).into_keys().collect();
    [tasks, older, pods].concat()
}

#[test]
fn every_method_is_there_and_no_other() {
    let services = all();
    let paths = paths();
    assert_eq!(paths.len(), 2 * 17 + 9, "{paths:?}");
    for path in paths {
        let status = ask(&services, &path, b"");
        assert!(!status.message.contains("no such method"), "{path}: {status}");
        let other = ask(&services, &format!("{path}s"), b"");
        assert_eq!(other.code(), Code::UNIMPLEMENTED, "{path}: {other}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let services = all();
    for path in paths() {
        // A container's checkpoint and processes are refused whatever is asked.
        let (code, never) = (
            ask(&services, &path, &[0xff; 4]).code(),
            path.ends_with("/Checkpoint") || path.ends_with("/Exec"),
        );
        assert_eq!(code, if never { Code::UNIMPLEMENTED } else { Code::INVALID_ARGUMENT }, "{path}");
    }
}
