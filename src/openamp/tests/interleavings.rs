//! Our driver against our device half: in whatever order both send, receive, hold, release and mute each other, nothing
//! is lost, doubled or reordered, every kick that is owed is wanted, and every buffer comes back.

mod common;

use std::collections::VecDeque;

use common::{backing, linked, window};
use openamp::rpmsg::{EndpointId, Held, Host, Incoming, PAYLOAD_LEN, Remote, SendError, Taken};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use shmem::Window;

/// What both ends can do; neither knows of the other's type.
trait End {
    fn send(&mut self, memory: &Window<'_>, from: EndpointId, payload: &[u8]) -> Result<(), SendError>;
    fn receive(&mut self, memory: &Window<'_>, payload: &mut [u8; PAYLOAD_LEN]) -> Option<Incoming>;
    fn hold(&mut self, memory: &Window<'_>) -> Option<Taken>;
    fn release(&mut self, memory: &Window<'_>, held: Held);
    fn want_messages(&mut self, memory: &Window<'_>, wanted: bool);
    fn wants_kick(&mut self, memory: &Window<'_>) -> bool;
}

macro_rules! end {
    ($end:ty, $receive:ident) => {
        impl End for $end {
            fn send(
                &mut self,
                memory: &Window<'_>,
                from: EndpointId,
                payload: &[u8],
            ) -> Result<(), SendError> {
                <$end>::send(self, memory, from, payload)
            }
            fn receive(&mut self, memory: &Window<'_>, payload: &mut [u8; PAYLOAD_LEN]) -> Option<Incoming> {
                self.$receive(memory, payload).expect("no violation")
            }
            fn hold(&mut self, memory: &Window<'_>) -> Option<Taken> {
                <$end>::hold(self, memory).expect("no violation")
            }
            fn release(&mut self, memory: &Window<'_>, held: Held) {
                <$end>::release(self, memory, held).expect("it is held");
            }
            fn want_messages(&mut self, memory: &Window<'_>, wanted: bool) {
                <$end>::want_messages(self, memory, wanted).expect("writable");
            }
            fn wants_kick(&mut self, memory: &Window<'_>) -> bool {
                <$end>::wants_kick(self, memory).expect("readable")
            }
        }
    };
}
end!(Host, receive);
end!(Remote, receive_any);

#[derive(Clone, Copy, Debug)]
enum Step {
    Sends(usize),
    Receives,
    Holds,
    Releases(usize),
    Wants(bool),
}

/// Which end takes a step: 0 the host, 1 the remote.
fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => (0..=PAYLOAD_LEN).prop_map(Step::Sends),
        2 => Just(Step::Receives),
        2 => Just(Step::Holds),
        3 => any::<usize>().prop_map(Step::Releases),
        1 => any::<bool>().prop_map(Step::Wants),
    ];
    proptest::collection::vec((0usize..2, step), 1..500)
}

/// What one end has to expect.
struct Expected {
    endpoint: EndpointId,
    /// Messages on their way to it.
    coming: VecDeque<Vec<u8>>,
    /// Messages it holds.
    held: Vec<(Held, Vec<u8>)>,
    /// It wants to be kicked.
    listens: bool,
}

impl Expected {
    fn new(endpoint: EndpointId) -> Expected {
        Expected { endpoint, coming: VecDeque::new(), held: Vec::new(), listens: true }
    }

    fn buffers(&self) -> usize {
        self.coming.len() + self.held.len()
    }
}

/// A message that tells its place in the sequence.
fn message(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 7 + at) as u8).collect()
}

struct Link<'m> {
    memory: Window<'m>,
    num: usize,
    ends: [Box<dyn End>; 2],
    expected: [Expected; 2],
}

impl Link<'_> {
    fn take(&mut self, end: usize, number: usize, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Sends(len) => self.send(end, &message(number, len))?,
            Step::Receives => {
                self.receive(end)?;
            }
            Step::Holds => self.hold(end)?,
            Step::Releases(which) if !self.expected[end].held.is_empty() => {
                let which = which % self.expected[end].held.len();
                self.release(end, which)?;
            }
            Step::Releases(_) => {}
            Step::Wants(wanted) => {
                self.ends[end].want_messages(&self.memory, wanted);
                self.expected[end].listens = wanted;
            }
        }
        Ok(())
    }

    /// Sends, which goes exactly as long as the other end has not taken all buffers.
    fn send(&mut self, end: usize, payload: &[u8]) -> Result<(), TestCaseError> {
        let peer = 1 - end;
        // Buffers that were given back meanwhile are no news.
        prop_assert!(!self.ends[end].wants_kick(&self.memory) || self.expected[peer].listens);
        let sent = self.ends[end].send(&self.memory, self.expected[end].endpoint, payload);
        if self.expected[peer].buffers() < self.num {
            prop_assert_eq!(sent, Ok(()));
            self.expected[peer].coming.push_back(payload.to_vec());
            prop_assert_eq!(self.ends[end].wants_kick(&self.memory), self.expected[peer].listens);
        } else {
            prop_assert_eq!(sent, Err(SendError::Full));
        }
        Ok(())
    }

    fn receive(&mut self, end: usize) -> Result<bool, TestCaseError> {
        let mut payload = [0; PAYLOAD_LEN];
        let got = match self.ends[end].receive(&self.memory, &mut payload) {
            Some(Incoming::Message { endpoint, len }) => {
                prop_assert_eq!(endpoint, self.expected[end].endpoint);
                Some(payload[..len].to_vec())
            }
            None => None,
            other => panic!("{other:?}"),
        };
        let any = got.is_some();
        prop_assert_eq!(got, self.expected[end].coming.pop_front());
        Ok(any)
    }

    fn hold(&mut self, end: usize) -> Result<(), TestCaseError> {
        match (self.ends[end].hold(&self.memory), self.expected[end].coming.pop_front()) {
            (Some(Taken::Held(held)), Some(payload)) => {
                prop_assert_eq!(held.len(), payload.len());
                prop_assert_eq!(held.endpoint(), self.expected[end].endpoint);
                self.expected[end].held.push((held, payload));
            }
            (None, None) => {}
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    fn release(&mut self, end: usize, which: usize) -> Result<(), TestCaseError> {
        let (held, payload) = self.expected[end].held.swap_remove(which);
        let from = payload.len() / 3;
        let mut out = [0; PAYLOAD_LEN];
        prop_assert_eq!(held.copy_out(&self.memory, from, &mut out), Ok(payload.len() - from));
        prop_assert_eq!(&out[..payload.len() - from], &payload[from..]);
        self.ends[end].release(&self.memory, held);
        Ok(())
    }

    /// Takes and releases everything, then sends a ring full in both directions: no buffer is missing.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for end in 0..2 {
            while !self.expected[end].held.is_empty() {
                self.release(end, 0)?;
            }
            while self.receive(end)? {}
        }
        for number in 0..=self.num {
            self.send(0, &message(number, 5))?;
            self.send(1, &message(number, 6))?;
        }
        prop_assert!(self.expected.iter().all(|expected| expected.coming.len() == self.num));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_arrives_once_and_in_order(
        // 64 buffers each way are the most that fit a core's window of 128 KiB.
        num in prop_oneof![Just(1u32), Just(2), Just(8), Just(64)],
        steps in steps(),
    ) {
        let mut backing = backing();
        let memory = window(&mut backing);
        let (mut host, ours, mut remote, theirs) = linked(&memory, num);
        // Kicks that are still owed for setting the link up.
        host.wants_kick(&memory).expect("readable");
        remote.wants_kick(&memory).expect("readable");
        let expected = [Expected::new(ours), Expected::new(theirs)];
        let mut link = Link { memory, num: num as usize, ends: [Box::new(host), Box::new(remote)], expected };
        for (number, (end, step)) in steps.into_iter().enumerate() {
            link.take(end, number, step)?;
        }
        link.settle()?;
    }
}
