//! Events: one queue, sent in order, the first one retried until it is taken.
//!
//! containerd may be away for a while (a restart). Libraries re-queue a failed event behind later ones and drop it
//! after some tries; here the head of the queue stays the head. A connection is opened when there is something to send
//! and closed when there is not, so an idle shim holds none.

use std::thread;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::events::task as messages;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::shim::event::Envelope;
use ttrpc::Error;

use super::client::Client;
use super::convert::{any, timestamp};
use crate::events::{Event, Item};
use crate::queue::Receiver;
use crate::reactor::Ended;
use crate::sys;

/// containerd's service that takes events.
const EVENTS: &str = "containerd.services.events.ttrpc.v1.Events";
/// Deadline of one try, as in containerd's own library.
const TRY: Duration = Duration::from_secs(5);
/// Pause before the second try; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Starts the thread that sends what is in the queue to containerd's ttrpc socket at `address`. Without an address
/// events go nowhere.
pub fn start(address: &str, namespace: &str, items: Receiver<Item>) -> std::io::Result<()> {
    if address.is_empty() {
        return Ok(());
    }
    let (address, namespace) = (address.to_owned(), namespace.to_owned());
    let send = move || forward(&items, &address, &namespace);
    sys::spawn("publisher", send)?;
    Ok(())
}

fn envelope(namespace: &str, id: &str, pid: u32, at: SystemTime, event: Event) -> Envelope {
    let (topic, event) = message(id, pid, event);
    Envelope {
        timestamp: timestamp(at),
        namespace: namespace.to_owned(),
        topic: topic.to_owned(),
        event: MessageField::some(event),
        ..Envelope::default()
    }
}

/// The topic and the message of an event.
fn message(id: &str, pid: u32, event: Event) -> (&'static str, Any) {
    let container_id = id.to_owned();
    match event {
        Event::Create { bundle, streams } => {
            let io = messages::TaskIO {
                stdin: streams.stdin,
                stdout: streams.stdout,
                stderr: streams.stderr,
                terminal: streams.terminal,
                ..messages::TaskIO::default()
            };
            let create = messages::TaskCreate {
                container_id,
                bundle: bundle.display().to_string(),
                io: MessageField::some(io),
                pid,
                ..messages::TaskCreate::default()
            };
            ("/tasks/create", any("containerd.events.TaskCreate", &create))
        }
        Event::Start => {
            let start = messages::TaskStart { container_id, pid, ..messages::TaskStart::default() };
            ("/tasks/start", any("containerd.events.TaskStart", &start))
        }
        Event::Paused => {
            let paused = messages::TaskPaused { container_id, ..messages::TaskPaused::default() };
            ("/tasks/paused", any("containerd.events.TaskPaused", &paused))
        }
        Event::Resumed => {
            let resumed = messages::TaskResumed { container_id, ..messages::TaskResumed::default() };
            ("/tasks/resumed", any("containerd.events.TaskResumed", &resumed))
        }
        Event::OutOfMemory => {
            let oom = messages::TaskOOM { container_id, ..messages::TaskOOM::default() };
            ("/tasks/oom", any("containerd.events.TaskOOM", &oom))
        }
        Event::Exit(Ended { status, at }) => {
            let exit = messages::TaskExit {
                id: container_id.clone(),
                container_id,
                pid,
                exit_status: status,
                exited_at: timestamp(at),
                ..messages::TaskExit::default()
            };
            ("/tasks/exit", any("containerd.events.TaskExit", &exit))
        }
        Event::Delete(Ended { status, at }) => {
            let delete = messages::TaskDelete {
                container_id,
                pid,
                exit_status: status,
                exited_at: timestamp(at),
                ..messages::TaskDelete::default()
            };
            ("/tasks/delete", any("containerd.events.TaskDelete", &delete))
        }
    }
}

fn forward(items: &Receiver<Item>, address: &str, namespace: &str) {
    while let Ok(first) = items.recv() {
        let mut client = None;
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Event { id, pid, at, event } => {
                    insist(&mut client, address, &envelope(namespace, &id, pid, at, event));
                }
                Item::Flush(done) => drop(done),
            }
            next = items.try_recv().ok();
        }
    }
}

/// Tries until containerd has taken the event.
fn insist(client: &mut Option<Client>, address: &str, envelope: &Envelope) {
    let mut pause = FIRST_PAUSE;
    loop {
        match send(client, address, envelope) {
            Ok(()) => return,
            Err(error) => log::debug!("event {}: {error}; tried again", envelope.topic),
        }
        *client = None;
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn send(client: &mut Option<Client>, address: &str, envelope: &Envelope) -> ttrpc::Result<()> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address)?),
    };
    let request =
        ForwardRequest { envelope: MessageField::some(envelope.clone()), ..ForwardRequest::default() };
    let payload = request.write_to_bytes().map_err(|error| Error::Others(error.to_string()))?;
    client.call(EVENTS, "Forward", payload, TRY)
}
