//! The ring's memory order under a model checker: every outcome that the memory model allows, not only those that this
//! machine happens to show. `shmem::barrier` is loom's here, and the memory is made of loom's words.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p rigs --test ring_order`
#![cfg(loom)]

use std::collections::BTreeMap;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use openamp::Violation;
use openamp::placement::BUFFER_LEN;
use openamp::vring::{Buffers, DeviceQueue, DriverQueue, Geometry};
use shmem::{Fault, Memory};

const RING: Geometry = Geometry { base: 0, num: 2, align: 4 };
/// The same place, with one descriptor: each buffer goes through the slot of the one before.
const NARROW: Geometry = Geometry { base: 0, num: 1, align: 4 };
/// Two buffers behind the ring, of which one word each is there.
const BUFFERS: usize = 0x100;
const RX: Buffers = Buffers { addr: BUFFERS as u64, writable: true };
const SIZE: usize = BUFFERS + 2 * BUFFER_LEN;

/// One atomic word per field, accessed without any order of its own: all order comes from the barriers.
struct Model(BTreeMap<usize, AtomicU64>);

impl Model {
    fn new() -> Model {
        Model::of(RING)
    }

    fn of(ring: Geometry) -> Model {
        let num = usize::from(ring.num);
        let used = ring.size() - 6 - 8 * num;
        let descriptors = (0..num).flat_map(|id| [0, 8, 12, 14].map(|field| 16 * id + field));
        let available = (0..2 + num).map(|field| 16 * num + 2 * field);
        let elements = (0..2 * num).map(|field| used + 4 + 4 * field);
        let buffers = (0..num).map(|id| BUFFERS + BUFFER_LEN * id);
        let fields = descriptors.chain(available).chain([used, used + 2]).chain(elements).chain(buffers);
        Model(fields.map(|at| (at, AtomicU64::new(0))).collect())
    }

    fn field(&self, at: usize, len: usize) -> Result<&AtomicU64, Fault> {
        self.0.get(&at).ok_or(Fault { at, len, size: SIZE })
    }
}

macro_rules! word_access {
    ($load:ident, $store:ident, $word:ty) => {
        fn $load(&self, at: usize) -> Result<$word, Fault> {
            Ok(self.field(at, size_of::<$word>())?.load(Ordering::Relaxed) as $word)
        }
        fn $store(&self, at: usize, value: $word) -> Result<(), Fault> {
            self.field(at, size_of::<$word>())?.store(value.into(), Ordering::Relaxed);
            Ok(())
        }
    };
}

impl Memory for Model {
    fn size(&self) -> usize {
        SIZE
    }

    word_access!(load_u8, store_u8, u8);
    word_access!(load_u16, store_u16, u16);
    word_access!(load_u32, store_u32, u32);
    word_access!(load_u64, store_u64, u64);

    fn copy_out(&self, at: usize, out: &mut [u8]) -> Result<(), Fault> {
        Err(Fault { at, len: out.len(), size: SIZE })
    }

    fn copy_in(&self, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        Err(Fault { at, len: bytes.len(), size: SIZE })
    }

    /// A fresh model is zero.
    fn zero(&self, _: usize, _: usize) -> Result<(), Fault> {
        Ok(())
    }
}

fn buffer(id: u16) -> usize {
    BUFFERS + BUFFER_LEN * usize::from(id)
}

fn check(bound: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    // Without a bound the states are too many; bugs of this kind show with two or three switches.
    model.preemption_bound = Some(bound);
    model.check(test);
}

fn offer(driver: &mut DriverQueue, memory: &Model, word: u64) {
    let id = driver.take().expect("a free descriptor");
    memory.store_u64(buffer(id), word).expect("a buffer");
    driver.offer(memory, id).expect("offered");
}

/// Asks until the other side has something.
fn until<T>(mut ask: impl FnMut() -> Result<Option<T>, Violation>) -> T {
    loop {
        match ask().expect("no violation") {
            Some(found) => return found,
            None => thread::yield_now(),
        }
    }
}

/// What the driver put into a buffer is what the device finds there, and the other way round.
#[test]
fn a_buffer_is_seen_whole_on_the_other_side() {
    check(3, || {
        let memory = Arc::new(Model::new());
        let mut driver = DriverQueue::new(&*memory, RING, 0, RX).expect("a ring");
        let theirs = Arc::clone(&memory);
        let device = thread::spawn(move || {
            let mut device = DeviceQueue::new(RING, 0);
            for turn in 0..2 {
                let offered = until(|| device.take(&*theirs));
                assert_eq!(offered.addr, buffer(offered.id) as u64);
                assert_eq!(theirs.load_u64(buffer(offered.id)), Ok(100 + turn));
                theirs.store_u64(buffer(offered.id), 200 + turn).expect("a buffer");
                device.give_back(&*theirs, offered.id, 8 + turn as u32).expect("given back");
            }
        });
        offer(&mut driver, &memory, 100);
        offer(&mut driver, &memory, 101);
        for turn in 0..2 {
            let used = until(|| driver.reclaim(&*memory));
            assert_eq!(used.len, 8 + turn as u32);
            assert_eq!(memory.load_u64(buffer(used.id)), Ok(200 + turn));
        }
        device.join().expect("the device");
    });
}

/// Nor is it another one where slot and element are the same as the time before, and so are not written again.
#[test]
fn a_buffer_that_goes_round_is_seen_whole_each_time() {
    check(3, || {
        let memory = Arc::new(Model::of(NARROW));
        let mut driver = DriverQueue::new(&*memory, NARROW, 0, RX).expect("a ring");
        let theirs = Arc::clone(&memory);
        let device = thread::spawn(move || {
            let mut device = DeviceQueue::new(NARROW, 0);
            for turn in 0..2 {
                let offered = until(|| device.take(&*theirs));
                assert_eq!(theirs.load_u64(buffer(0)), Ok(100 + turn));
                theirs.store_u64(buffer(0), 200 + turn).expect("a buffer");
                device.give_back(&*theirs, offered.id, 8).expect("given back");
            }
        });
        for turn in 0..2 {
            offer(&mut driver, &memory, 100 + turn);
            let used = until(|| driver.reclaim(&*memory));
            assert_eq!(memory.load_u64(buffer(0)), Ok(200 + turn));
            driver.put_back(used.id);
        }
        device.join().expect("the device");
    });
}

/// A device that is about to sleep either sees the buffer or is kicked for it.
#[test]
fn no_kick_is_lost_on_the_way_to_the_device() {
    check(3, || {
        let memory = Arc::new(Model::new());
        let mut driver = DriverQueue::new(&*memory, RING, 0, RX).expect("a ring");
        let mut device = DeviceQueue::new(RING, 0);
        device.notify_me(&*memory, false).expect("a flag");
        let theirs = Arc::clone(&memory);
        let sleeper = thread::spawn(move || {
            device.notify_me(&*theirs, true).expect("a flag");
            device.take(&*theirs).expect("no violation").is_some()
        });
        offer(&mut driver, &memory, 100);
        let kicked = driver.wants_kick(&*memory).expect("a flag");
        let seen = sleeper.join().expect("the device");
        assert!(seen || kicked, "the device sleeps and was not kicked");
    });
}

/// A driver that is about to sleep for room either sees the buffer come back or is kicked for it.
#[test]
fn no_kick_is_lost_on_the_way_to_the_driver() {
    check(3, || {
        let memory = Arc::new(Model::new());
        let mut driver = DriverQueue::new(&*memory, RING, 0, RX).expect("a ring");
        driver.notify_me(&*memory, false).expect("a flag");
        offer(&mut driver, &memory, 100);
        let mut device = DeviceQueue::new(RING, 0);
        let offered = device.take(&*memory).expect("no violation").expect("the buffer");
        let theirs = Arc::clone(&memory);
        let giver = thread::spawn(move || {
            device.give_back(&*theirs, offered.id, 8).expect("given back");
            device.wants_kick(&*theirs).expect("a flag")
        });
        driver.notify_me(&*memory, true).expect("a flag");
        let seen = driver.reclaim(&*memory).expect("no violation").is_some();
        let kicked = giver.join().expect("the device");
        assert!(seen || kicked, "the driver sleeps and was not kicked");
    });
}
