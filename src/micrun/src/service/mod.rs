//! The only code that knows ttrpc and protobuf: containerd's requests become ours here, our events and errors theirs.

mod bootstrap;
mod client;
mod convert;
mod end;
mod metrics;
mod options;
mod other;
pub mod publish;
mod sandbox;
mod server;
mod status;
mod task;
mod wait;

use std::collections::HashMap;
use std::sync::Arc;

use containerd_shim_protos::create_task;
use containerd_shim_protos::sandbox_sync::create_sandbox;
use ttrpc::MethodHandler;

pub use bootstrap::{Bootstrap, runtime_info};
pub use convert::delete_response;
pub use end::{End, OnShutdown};
pub use options::RUNTIME_OPTIONS;
pub use other::shut_down;
pub use sandbox::SandboxService;
pub use server::Server;
pub use task::TaskService;
use wait::WaitMethod;

/// The methods of a service by path.
pub type Methods = HashMap<String, Box<dyn MethodHandler + Send + Sync>>;

/// Where the generated code puts its methods.
const GENERATED: &str = "/containerd.task.v3.Task/";
const VERSIONS: [&str; 2] = [GENERATED, "/containerd.task.v2.Task/"];
const WAIT_SANDBOX: &str = "/containerd.runtime.sandbox.v1.Sandbox/WaitSandbox";

/// The Task service under both names: versions 2 and 3 differ in the package only, and containerd 1.x asks for 2.
pub fn task_methods(service: &Arc<TaskService>) -> Methods {
    let mut methods = Methods::new();
    for version in VERSIONS {
        let renamed = |(path, method): (String, _)| (path.replacen(GENERATED, version, 1), method);
        methods.extend(create_task(service.clone()).into_iter().map(renamed));
        let service = service.clone();
        let find = move |payload: &[u8]| service.waited(payload);
        methods.insert(format!("{version}Wait"), Box::new(WaitMethod { find, encode: task::wait_response }));
    }
    methods
}

/// The Sandbox service.
pub fn sandbox_methods(service: &Arc<SandboxService>) -> Methods {
    let mut methods = create_sandbox(service.clone());
    let service = service.clone();
    let find = move |payload: &[u8]| service.waited(payload);
    methods.insert(WAIT_SANDBOX.to_owned(), Box::new(WaitMethod { find, encode: sandbox::wait_response }));
    methods
}
