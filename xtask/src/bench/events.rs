//! The end of a shim's events: containerd's ttrpc endpoint, of which a shim uses one method.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::ttrpc::{self, Server, TtrpcContext};
use containerd_shim_protos::{Events, create_events};
use qemu_tests::wait_for;

/// How long the last event may take after the shim's end: it has been sent before.
const DEADLINE: Duration = Duration::from_secs(10);

/// Takes every event and counts.
pub(super) struct Sink {
    count: Arc<Count>,
    /// Serves as long as it lives.
    _server: Server,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Events for Count {
    fn forward(&self, _: &TtrpcContext, _: ForwardRequest) -> ttrpc::Result<Empty> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Empty::new())
    }
}

impl Sink {
    /// Listens at `socket`.
    ///
    /// # Errors
    /// It can't.
    pub(super) fn serve(socket: &Path) -> Result<Self> {
        let count = Arc::new(Count::default());
        let methods = create_events(Arc::clone(&count) as _);
        let server = Server::new().bind(&format!("unix://{}", socket.display()));
        let mut server = server.context("the sink of events")?.register_service(methods);
        server.start().context("the sink of events")?;
        Ok(Self { count, _server: server })
    }

    /// How many events have come.
    pub(super) fn count(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }

    /// Waits until `count` events have come: proof that the shims did the whole of their work.
    ///
    /// # Errors
    /// Fewer have come.
    pub(super) fn wait_for(&self, count: usize) -> Result<()> {
        let all = || (self.count() >= count).then_some(());
        wait_for(&format!("event number {count}"), DEADLINE, all)
            .with_context(|| format!("{} events", self.count()))
    }
}
