//! Our halves of a ring against rust-vmm's: an implementation that shares no code and no author with ours.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsFd;

use openamp::placement::BUFFER_LEN;
use openamp::vring::{Buffers, DeviceQueue, DriverQueue, Geometry};
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use shmem::{Mapping, Window};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::{AvailRing, DescriptorTable, UsedRing};
use virtio_queue::{Queue, QueueT};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap};

/// Room for the largest ring, 256 descriptors with alignment 4096, at an odd base.
const SIZE: usize = 0x8000;

/// One memory, mapped for both implementations; offset and address are the same.
struct Shared {
    ours: Mapping,
    theirs: GuestMemoryMmap,
}

impl Shared {
    fn new() -> Shared {
        let file = File::from(memfd_create("rings", MemfdFlags::CLOEXEC).expect("a memfd"));
        ftruncate(&file, SIZE as u64).expect("its size");
        let ours = Mapping::new(file.as_fd(), 0, SIZE).expect("our mapping");
        let range = (GuestAddress(0), SIZE, Some(FileOffset::new(file, 0)));
        Shared { ours, theirs: GuestMemoryMmap::from_ranges_with_files([range]).expect("their mapping") }
    }

    fn window(&self) -> Window<'_> {
        self.ours.window()
    }
}

/// Where virtio 1.2, 2.7 puts the rings; the geometry's own arithmetic is not asked.
fn addresses(ring: Geometry) -> [u64; 3] {
    let (base, num, align) = (ring.base as u64, u64::from(ring.num), ring.align as u64);
    [base, base + 16 * num, base + (18 * num + 6).div_ceil(align) * align]
}

fn geometry() -> impl Strategy<Value = Geometry> {
    (0u32..=8, 2u32..=12, 0usize..4).prop_map(|(num, align, base)| {
        let align = 1usize << align;
        // The used ring is aligned in memory only if the base is.
        Geometry { base: base * align.max(16), num: 1 << num, align }
    })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Offer {
        len: u16,
        writable: bool,
    },
    Take,
    /// One of the buffers that the device has, not always the oldest.
    GiveBack {
        which: usize,
        len: u32,
    },
    Reclaim,
    Silence {
        driver: bool,
        wanted: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u16>(), any::<bool>()).prop_map(|(len, writable)| Step::Offer { len, writable }),
        4 => Just(Step::Take),
        4 => (any::<usize>(), any::<u32>()).prop_map(|(which, len)| Step::GiveBack { which, len }),
        4 => Just(Step::Reclaim),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(driver, wanted)| Step::Silence { driver, wanted }),
    ];
    proptest::collection::vec(step, 1..1500)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rust_vmm_is_the_device(ring in geometry(), first: u32, writable: bool, steps in steps()) {
        let shared = Shared::new();
        let memory = shared.window();
        let buffers = Buffers { addr: first.into(), writable };
        let mut driver = DriverQueue::new(&memory, ring, 0, buffers).expect("a ring");
        let mut device = their_device(ring);
        prop_assert!(device.is_valid(&shared.theirs));
        let (mut offered, mut held, mut used) = (VecDeque::new(), Vec::new(), VecDeque::new());
        let (mut driver_listens, mut device_listens) = (true, true);
        for step in steps {
            match step {
                Step::Offer { .. } => {
                    let Some(id) = driver.take() else {
                        prop_assert_eq!(offered.len() + held.len() + used.len(), usize::from(ring.num));
                        continue;
                    };
                    let addr = buffers.addr + BUFFER_LEN as u64 * u64::from(id);
                    driver.offer(&memory, id).expect("no violation");
                    offered.push_back((id, addr, writable));
                    prop_assert_eq!(driver.wants_kick(&memory), Ok(device_listens));
                }
                Step::Take => {
                    let chain = device.pop_descriptor_chain(&shared.theirs);
                    let got = chain.map(|mut chain| {
                        let descriptor = chain.next().expect("one descriptor");
                        assert!(descriptor.len() == 512 && chain.next().is_none());
                        (chain.head_index(), descriptor.addr().0, descriptor.is_write_only())
                    });
                    prop_assert_eq!(got, offered.pop_front());
                    held.extend(got.map(|(id, _, _)| id));
                }
                Step::GiveBack { which, len } if !held.is_empty() => {
                    let id = held.swap_remove(which % held.len());
                    device.add_used(&shared.theirs, id, len).expect("their used ring");
                    used.push_back((id, len));
                    prop_assert_eq!(device.needs_notification(&shared.theirs).expect("readable"), driver_listens);
                }
                Step::GiveBack { .. } => {}
                Step::Reclaim => {
                    let got = driver.reclaim(&memory).expect("no violation").map(|used| (used.id, used.len));
                    prop_assert_eq!(got, used.pop_front());
                    if let Some((id, _)) = got {
                        driver.put_back(id);
                    }
                }
                Step::Silence { driver: true, wanted } => {
                    // rust-vmm's device looks at event indices only, and notifies always without them.
                    driver.notify_me(&memory, wanted).expect("writable");
                    driver_listens = true;
                }
                Step::Silence { driver: false, wanted } => {
                    match wanted {
                        true => drop(device.enable_notification(&shared.theirs).expect("their flags")),
                        false => device.disable_notification(&shared.theirs).expect("their flags"),
                    }
                    device_listens = wanted;
                }
            }
        }
    }

    #[test]
    fn rust_vmm_is_the_driver(ring in geometry(), steps in steps()) {
        let shared = Shared::new();
        let memory = shared.window();
        let mut driver = TheirDriver::new(&shared.theirs, ring);
        let mut device = DeviceQueue::new(ring, 0);
        let (mut offered, mut held, mut used) = (VecDeque::new(), Vec::new(), VecDeque::new());
        for step in steps {
            match step {
                Step::Offer { len, writable } => {
                    let Some(id) = driver.free.pop() else { continue };
                    let addr = u64::from(len) * 8;
                    driver.offer(id, addr, len.into(), writable);
                    offered.push_back((id, addr, u32::from(len)));
                }
                Step::Take => {
                    let got = device.take(&memory).expect("no violation");
                    prop_assert_eq!(got.map(|got| (got.id, got.addr, got.len)), offered.pop_front());
                    held.extend(got.map(|got| got.id));
                }
                Step::GiveBack { which, len } if !held.is_empty() => {
                    let id = held.swap_remove(which % held.len());
                    device.give_back(&memory, id, len).expect("no violation");
                    used.push_back((u32::from(id), len));
                }
                Step::GiveBack { .. } | Step::Silence { .. } => {}
                Step::Reclaim => prop_assert_eq!(driver.reclaim(), used.pop_front()),
            }
        }
    }
}

fn their_device(ring: Geometry) -> Queue {
    let [descriptors, available, used] = addresses(ring).map(|address| Some(address as u32));
    let mut queue = Queue::new(256).expect("a power of two");
    queue.set_size(ring.num);
    queue.set_desc_table_address(descriptors, Some(0));
    queue.set_avail_ring_address(available, Some(0));
    queue.set_used_ring_address(used, Some(0));
    queue.set_ready(true);
    queue
}

/// The library has no driver, but the parts of one: table and rings.
struct TheirDriver<'m> {
    num: u16,
    free: Vec<u16>,
    descriptors: DescriptorTable<'m, GuestMemoryMmap>,
    available: AvailRing<'m, GuestMemoryMmap>,
    used: UsedRing<'m, GuestMemoryMmap>,
    taken: u16,
}

impl<'m> TheirDriver<'m> {
    fn new(memory: &'m GuestMemoryMmap, ring: Geometry) -> TheirDriver<'m> {
        let [descriptors, available, used] = addresses(ring).map(GuestAddress);
        TheirDriver {
            num: ring.num,
            free: (0..ring.num).collect(),
            descriptors: DescriptorTable::new(memory, descriptors, ring.num),
            available: AvailRing::new(memory, available, ring.num),
            used: UsedRing::new(memory, used, ring.num),
            taken: 0,
        }
    }

    fn offer(&mut self, id: u16, addr: u64, len: u32, writable: bool) {
        let descriptor = Descriptor::new(addr, len, if writable { 2 } else { 0 }, 0);
        self.descriptors.store(id, RawDescriptor::from(descriptor)).expect("inside the table");
        let index = self.available.idx().load();
        let slot = self.available.ring().ref_at(usize::from(index % self.num)).expect("inside the ring");
        slot.store(id);
        self.available.idx().store(index.wrapping_add(1));
    }

    fn reclaim(&mut self) -> Option<(u32, u32)> {
        if self.used.idx().load() == self.taken {
            return None;
        }
        let slot = self.used.ring().ref_at(usize::from(self.taken % self.num)).expect("inside the ring");
        let element = slot.load();
        self.taken = self.taken.wrapping_add(1);
        self.free.push(element.id() as u16);
        Some((element.id(), element.len()))
    }
}
