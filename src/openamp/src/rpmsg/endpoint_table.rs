//! MICA's endpoint table: the endpoints of a running firmware, kept in its resource table so that another host process
//! can go on with it. `u32 type, u32 count`, then 64 times `{name[32], u32 remote address, u32 host address}`.

use shmem::{Fault, Memory, barrier};

use super::endpoint::Endpoints;
use super::{ADDR_ANY, Endpoint, MAX_ENDPOINTS, NAME_LEN, NAME_SERVICE, Name};
use crate::Violation;

const COUNT: usize = 4;
const SLOTS: usize = 8;
const SLOT_LEN: usize = NAME_LEN + 8;

/// Writes every endpoint whose peer is known into the entry at `at` of the live table.
pub(super) fn write(endpoints: &Endpoints, table: &impl Memory, at: usize) -> Result<(), Fault> {
    // A host that dies in here leaves an empty table, not half a one.
    table.store_u32(at + COUNT, 0)?;
    barrier::write();
    let mut count = 0;
    for (_, endpoint) in endpoints.iter().filter(|(_, endpoint)| endpoint.remote != ADDR_ANY) {
        table.copy_in(at + SLOTS + SLOT_LEN * count, &encode(endpoint))?;
        count += 1;
    }
    table.zero(at + SLOTS + SLOT_LEN * count, SLOT_LEN * (MAX_ENDPOINTS - count))?;
    barrier::write();
    table.store_u32(at + COUNT, count as u32)
}

/// Reads the entry at `at` of the live table, which the remote may have rewritten.
pub(super) fn read(table: &impl Memory, at: usize) -> Result<Endpoints, Violation> {
    let count = table.load_u32(at + COUNT)?;
    if count as usize > MAX_ENDPOINTS {
        return Err(Violation::EndpointCount(count));
    }
    let mut endpoints = Endpoints::new();
    for slot in 0..count as usize {
        let mut bytes = [0; SLOT_LEN];
        table.copy_out(at + SLOTS + SLOT_LEN * slot, &mut bytes)?;
        let (name, remote, local) = decode(bytes);
        // A slot without a peer is none, and stock MICA lists its own name service among the endpoints.
        if remote == 0 || (remote, local) == (NAME_SERVICE, NAME_SERVICE) {
            continue;
        }
        let name = Name::from_wire(name).map_err(|why| Violation::EndpointName { slot, why })?;
        let refuse = |field, value, expected| Violation::EndpointSlot { slot, field, value, expected };
        if remote == ADDR_ANY || endpoints.find(&name, remote).is_some() {
            return Err(refuse("remote address", remote, "it must be known and be listed once"));
        }
        if !endpoints.restore(Endpoint { name, local, remote }) {
            return Err(refuse("host address", local, "it must be from 0x400 to 0x43f and be listed once"));
        }
    }
    Ok(endpoints)
}

fn encode(endpoint: &Endpoint) -> [u8; SLOT_LEN] {
    let mut bytes = [0; SLOT_LEN];
    bytes[..NAME_LEN].copy_from_slice(endpoint.name.wire());
    bytes[NAME_LEN..NAME_LEN + 4].copy_from_slice(&endpoint.remote.to_le_bytes());
    bytes[NAME_LEN + 4..].copy_from_slice(&endpoint.local.to_le_bytes());
    bytes
}

fn decode(bytes: [u8; SLOT_LEN]) -> ([u8; NAME_LEN], u32, u32) {
    let mut name = [0; NAME_LEN];
    name.copy_from_slice(&bytes[..NAME_LEN]);
    let [.., r0, r1, r2, r3, l0, l1, l2, l3] = bytes;
    (name, u32::from_le_bytes([r0, r1, r2, r3]), u32::from_le_bytes([l0, l1, l2, l3]))
}
