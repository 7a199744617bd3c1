//! Both ends of a link while the other one lies: between two calls, and between any two accesses.

use openamp::placement::{BUFFER_LEN, Placement};
use openamp::resource_table::{self, Layout};
use openamp::rpmsg::{
    Announcement, EndpointId, HEADER_LEN, Header, Host, Incoming, NAME_SERVICE, Name, PAYLOAD_LEN, Remote,
};
use openamp::vring::Geometry;
use shmem::Memory;

use super::memory::Hostile;
use super::{Runner, Source};

const DA: u32 = 0x7006_0000;
/// Sizes of the rings; small ones wrap soon.
const NUMS: [u32; 4] = [1, 2, 4, 8];
const SIZE: usize = 0x2800;

/// A remote that sends: messages right and wrong, one lie at a time.
pub(super) fn rx() -> Runner {
    let layouts = NUMS.map(layout);
    Box::new(move |source| {
        let Linked { memory, mut host, endpoint, placement } = Linked::new(source, &layouts);
        let mut remote = LyingRemote { placement, used: 0 };
        for _ in 0..1 + source.below(12) {
            remote.send(&memory, source);
            if !drain(&memory, &mut host, endpoint, source) {
                return;
            }
        }
    })
}

/// A remote, or once in four a host, that changes memory while it is being read.
pub(super) fn mutating_remote() -> Runner {
    let layouts = NUMS.map(layout);
    Box::new(move |source| {
        let Linked { memory, mut host, endpoint, placement } = Linked::new(source, &layouts);
        let mut liar = LyingRemote { placement, used: 0 };
        if source.one_in(4) {
            return device(memory, &placement, host, endpoint, source);
        }
        memory.one_in.set(1 + source.below(32));
        for _ in 0..1 + source.below(8) {
            liar.send(&memory, source);
            if !drain(&memory, &mut host, endpoint, source) {
                return;
            }
        }
    })
}

fn layout(num: u32) -> Layout {
    let any = resource_table::ADDR_ANY;
    let words = [1, 1, 0, 0, 0x14, 3, 7, 2, 1, 0, 0, 0x200, any, 4, num, 0, 0, any, 4, num, 1, 0];
    let table: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    resource_table::parse(&table).expect("a good table")
}

/// A host in memory that starts to be hostile.
struct Linked {
    memory: Hostile,
    host: Host,
    endpoint: EndpointId,
    placement: Placement,
}

impl Linked {
    fn new(source: &mut Source, layouts: &[Layout]) -> Linked {
        let layout = &layouts[source.below(layouts.len())];
        let placement = Placement::new(layout, DA, SIZE).expect("it fits");
        let [buffers0, buffers1] = placement.buffers;
        let end = buffers1 + BUFFER_LEN * usize::from(placement.rings[1].num);
        let mut memory = Hostile::new(end.next_multiple_of(16), Source::of(source.word(), 0));
        let mut host = Host::new(&memory, placement).expect("a host");
        let endpoint = host.bind(Name::new("rpmsg-tty").expect("a name"), 0x400).expect("an endpoint");
        let used_rings = placement.rings.map(|ring| used(ring)..ring.base + ring.size());
        let headers = |first: usize, ring: Geometry| {
            (0..usize::from(ring.num)).map(move |id| first + BUFFER_LEN * id).map(|at| at..at + HEADER_LEN)
        };
        memory.spots = used_rings.to_vec();
        memory.spots.extend(headers(buffers0, placement.rings[0]));
        memory.spots.extend(placement.rings.map(|ring| ring.base..used(ring)));
        memory.theirs = used_rings.to_vec();
        memory.theirs.push(buffers0..buffers1);
        Linked { memory, host, endpoint, placement }
    }
}

/// Where the used ring begins.
fn used(ring: Geometry) -> usize {
    ring.base + (18 * usize::from(ring.num) + 6).next_multiple_of(ring.align)
}

/// Plays the device on vring 0 by hand, to do it wrong as well.
struct LyingRemote {
    placement: Placement,
    used: u16,
}

impl LyingRemote {
    /// One message, of which now and then one thing is not as it should be.
    fn send(&mut self, memory: &Hostile, source: &mut Source) {
        let (ring, bytes) = (self.placement.rings[0], &memory.bytes);
        let slot = usize::from(self.used % ring.num);
        let available = ring.base + 16 * usize::from(ring.num) + 4 + 2 * slot;
        let mut id = u32::from(bytes.load_u16(available).unwrap_or_default());
        let at = self.placement.buffers[0] + BUFFER_LEN * (id as usize % usize::from(ring.num));
        let mut len = BUFFER_LEN as u32;
        self.message(memory, at, source);
        self.used = self.used.wrapping_add(1);
        match source.below(24) {
            0 => id = source.tricky() as u32,
            1 => id = source.below(usize::from(ring.num) + 1) as u32,
            2..4 => len = source.tricky() as u32,
            4 => self.used = self.used.wrapping_add(source.tricky() as u16),
            5..8 => memory.scribble(source),
            _ => {}
        }
        let element = used(ring) + 4 + 8 * slot;
        bytes.store_u32(element, id).expect("inside");
        bytes.store_u32(element + 4, len).expect("inside");
        bytes.store_u16(used(ring) + 2, self.used).expect("inside");
    }

    fn message(&self, memory: &Hostile, at: usize, source: &mut Source) {
        let word = source.word();
        let name = if word & 1 == 0 { "rpmsg-tty" } else { "rpmsg-rpc" };
        let addr = 0x400 + (word >> 8) as u32 % 3;
        let announcement =
            Announcement { name: Name::new(name).expect("a name"), addr, created: word & 2 == 0 };
        let (dst, len) = match source.below(8) {
            0..3 => (NAME_SERVICE, 40),
            3..6 => (0x400 + (word >> 16) as u32 % 4, source.below(PAYLOAD_LEN + 1) as u16),
            6 => (0x400, source.tricky() as u16),
            _ => (source.tricky() as u32, 40),
        };
        let header = Header { src: addr, dst, len }.encode();
        memory.bytes.copy_in(at, &header).expect("inside");
        memory.bytes.copy_in(at + HEADER_LEN, &announcement.encode()).expect("inside");
    }
}

/// What a session does with a kick. False if the link is not to be used any further.
fn drain(memory: &Hostile, host: &mut Host, mut endpoint: EndpointId, source: &mut Source) -> bool {
    let mut payload = [0; PAYLOAD_LEN];
    // Twice the ring's size: a remote that goes on while we take is cut off here, as in a session's turn.
    for _ in 0..2 * NUMS[3] {
        match host.receive(memory, &mut payload) {
            Ok(Some(Incoming::Announced { name, addr })) => {
                if let Ok(bound) = host.bind(name, addr) {
                    endpoint = bound;
                }
            }
            Ok(Some(Incoming::Message { endpoint: whose, len })) => {
                assert!(len <= PAYLOAD_LEN && host.endpoint(whose).is_some(), "{whose:?} {len}");
            }
            Ok(Some(Incoming::Withdrawn(gone))) => assert_eq!(host.endpoint(gone), None),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return false,
        }
    }
    let payload = &payload[..source.below(PAYLOAD_LEN + 1)];
    let _ = host.send(memory, endpoint, payload);
    let _ = host.want_room(memory, source.one_in(2));
    host.outstanding(memory).is_ok() && host.wants_kick(memory).is_ok()
}

/// Our device half, with everything in memory changing.
fn device(mut memory: Hostile, placement: &Placement, mut host: Host, ours: EndpointId, source: &mut Source) {
    memory.theirs.clear();
    let mut payload = [0; PAYLOAD_LEN];
    let Ok(mut remote) = Remote::new(&memory, DA, placement.rings) else { return };
    let Ok(endpoint) = remote.announce(&memory, Name::new("rpmsg-tty").expect("a name")) else { return };
    let _ = host.send(&memory, ours, &[]);
    memory.one_in.set(1 + source.below(32));
    for _ in 0..1 + source.below(8) {
        let received = remote.receive(&memory, &mut payload);
        let sent = remote.send(&memory, endpoint, &payload[..source.below(PAYLOAD_LEN + 1)]);
        if received.is_err() || sent.is_err() || remote.wants_kick(&memory).is_err() {
            return;
        }
        let _ = host.send(&memory, ours, &payload[..source.below(64)]);
    }
}
