//! The only code that knows ttrpc and protobuf: containerd's requests become ours here, our events and errors theirs.

mod bootstrap;
mod call;
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

use std::sync::Arc;

pub use bootstrap::{Bootstrap, runtime_info};
pub use call::Service;
pub use convert::delete_response;
pub use end::{End, OnShutdown};
pub use options::RUNTIME_OPTIONS;
pub use other::shut_down;
pub use sandbox::SandboxService;
pub use server::Server;
pub use task::TaskService;

/// The names of the Task service: versions 2 and 3 differ in nothing else, and containerd 1.x asks for 2.
const TASK: [&str; 2] = ["containerd.task.v3.Task", "containerd.task.v2.Task"];
const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// Services by name.
pub type Services = Vec<(&'static str, Arc<dyn Service>)>;

/// All that a server answers.
pub fn services(tasks: TaskService, pods: SandboxService) -> Services {
    let (tasks, pods): (Arc<dyn Service>, Arc<dyn Service>) = (Arc::new(tasks), Arc::new(pods));
    TASK.map(|name| (name, tasks.clone())).into_iter().chain([(SANDBOX, pods)]).collect()
}

#[cfg(test)]
mod tests;
