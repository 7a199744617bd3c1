//! The only code that knows ttrpc and protobuf: containerd's requests become ours here, our events and errors theirs.

mod convert;
pub mod publish;
mod status;
mod task;

use std::collections::HashMap;
use std::sync::Arc;

use containerd_shim_protos::create_task;
use ttrpc::MethodHandler;

pub use convert::delete_response;
pub use task::{OnShutdown, TaskService};

/// The methods of a service by path.
pub type Methods = HashMap<String, Box<dyn MethodHandler + Send + Sync>>;

const SERVED: &str = "/containerd.task.v3.Task/";
const ALSO: &str = "/containerd.task.v2.Task/";

/// The Task service under both names: versions 2 and 3 differ in the package only, and containerd 1.x asks for 2.
pub fn task_methods(service: &Arc<TaskService>) -> Methods {
    let renamed = create_task(service.clone())
        .into_iter()
        .map(|(path, method)| (path.replacen(SERVED, ALSO, 1), method));
    let mut methods: Methods = create_task(service.clone());
    methods.extend(renamed);
    methods
}
