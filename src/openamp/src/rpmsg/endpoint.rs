//! The endpoints of one link, in a table of fixed size.

use super::{ADDR_ANY, FIRST_DYNAMIC, Name};

/// Most endpoints of one link: as many as MICA's endpoint table holds.
pub const MAX_ENDPOINTS: usize = 64;

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service's name, the same on both sides.
    pub name: Name,
    /// Our address.
    pub local: u32,
    /// The peer's address, [`ADDR_ANY`] as long as it is not known.
    pub remote: u32,
}

/// Names an endpoint of the link that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointId(u8);

/// All [`MAX_ENDPOINTS`] places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no endpoint left for \"{0}\", a link has 64")]
pub struct NoEndpointLeft(pub Name);

/// Place `i` holds the endpoint with our address `FIRST_DYNAMIC + i`: addresses need no search.
#[derive(Debug)]
pub(super) struct Endpoints {
    places: [Option<Endpoint>; MAX_ENDPOINTS],
}

impl Endpoints {
    pub(super) const fn new() -> Endpoints {
        Endpoints { places: [None; MAX_ENDPOINTS] }
    }

    /// Makes an endpoint at the lowest free address.
    pub(super) fn add(&mut self, name: Name, remote: u32) -> Result<EndpointId, NoEndpointLeft> {
        let place = self.places.iter().position(Option::is_none).ok_or(NoEndpointLeft(name))?;
        self.places[place] = Some(Endpoint { name, local: FIRST_DYNAMIC + place as u32, remote });
        Ok(EndpointId(place as u8))
    }

    pub(super) fn remove(&mut self, id: EndpointId) {
        self.places[usize::from(id.0)] = None;
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.places[usize::from(id.0)].as_ref()
    }

    /// The endpoint that a message to `addr` is for.
    pub(super) fn at(&self, addr: u32) -> Option<EndpointId> {
        let place = addr.checked_sub(FIRST_DYNAMIC).and_then(|place| u8::try_from(place).ok())?;
        self.places.get(usize::from(place))?.as_ref()?;
        Some(EndpointId(place))
    }

    /// The endpoint of that name whose peer is `remote`.
    pub(super) fn find(&self, name: &Name, remote: u32) -> Option<EndpointId> {
        let same = |endpoint: &Endpoint| endpoint.name == *name && endpoint.remote == remote;
        let place = self.places.iter().position(|place| place.as_ref().is_some_and(same))?;
        Some(EndpointId(place as u8))
    }

    /// Learns the peer's address from its first message.
    pub(super) fn learn(&mut self, id: EndpointId, remote: u32) {
        if let Some(endpoint) = &mut self.places[usize::from(id.0)]
            && endpoint.remote == ADDR_ANY
        {
            endpoint.remote = remote;
        }
    }
}
