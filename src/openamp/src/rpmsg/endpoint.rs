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

/// Who brought an endpoint into being, and so who ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// We announced it: it outlives its peers.
    Ours,
    /// The peer announced its end: ours goes with it.
    Theirs,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    endpoint: Endpoint,
    origin: Origin,
}

/// Place `i` holds the endpoint with our address `FIRST_DYNAMIC + i`: addresses need no search.
#[derive(Debug)]
pub(super) struct Endpoints {
    places: [Option<Place>; MAX_ENDPOINTS],
    /// Something changed since [`Self::take_changed`].
    changed: bool,
}

impl Endpoints {
    pub(super) const fn new() -> Endpoints {
        Endpoints { places: [None; MAX_ENDPOINTS], changed: false }
    }

    /// Makes an endpoint at the lowest free address.
    pub(super) fn add(
        &mut self,
        name: Name,
        remote: u32,
        origin: Origin,
    ) -> Result<EndpointId, NoEndpointLeft> {
        let place = self.places.iter().position(Option::is_none).ok_or(NoEndpointLeft(name))?;
        let endpoint = Endpoint { name, local: FIRST_DYNAMIC + place as u32, remote };
        self.places[place] = Some(Place { endpoint, origin });
        self.changed = true;
        Ok(EndpointId(place as u8))
    }

    /// Puts an endpoint of the peer's back to the address it had; false if that is taken or none of ours.
    pub(super) fn restore(&mut self, endpoint: Endpoint) -> bool {
        let place = endpoint.local.checked_sub(FIRST_DYNAMIC).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| self.places.get_mut(place)) {
            Some(place @ None) => {
                *place = Some(Place { endpoint, origin: Origin::Theirs });
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove(&mut self, id: EndpointId) {
        self.places[usize::from(id.0)] = None;
        self.changed = true;
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.places[usize::from(id.0)].as_ref().map(|place| &place.endpoint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        let ids = (0..).map(EndpointId);
        ids.zip(&self.places).filter_map(|(id, place)| Some((id, &place.as_ref()?.endpoint)))
    }

    /// The endpoint that a message from `src` to `dst` is for. An endpoint without a peer has found it.
    pub(super) fn hear(&mut self, src: u32, dst: u32) -> Option<EndpointId> {
        let place = dst.checked_sub(FIRST_DYNAMIC).and_then(|place| u8::try_from(place).ok())?;
        let endpoint = &self.places.get(usize::from(place))?.as_ref()?.endpoint;
        let id = EndpointId(place);
        if endpoint.remote == ADDR_ANY {
            self.connect(id, src);
        }
        Some(id)
    }

    /// The endpoint of that name whose peer is `remote`.
    pub(super) fn find(&self, name: &Name, remote: u32) -> Option<EndpointId> {
        self.iter()
            .find(|(_, endpoint)| endpoint.name == *name && endpoint.remote == remote)
            .map(|(id, _)| id)
    }

    /// Learns, or forgets, an endpoint's peer.
    pub(super) fn connect(&mut self, id: EndpointId, remote: u32) {
        if let Some(place) = &mut self.places[usize::from(id.0)] {
            place.endpoint.remote = remote;
            self.changed = true;
        }
    }

    /// The endpoint's peer is gone: an endpoint of ours waits for the next one.
    pub(super) fn disconnect(&mut self, id: EndpointId) {
        match self.places[usize::from(id.0)] {
            Some(Place { origin: Origin::Ours, .. }) => self.connect(id, ADDR_ANY),
            _ => self.remove(id),
        }
    }

    /// True, once, if something changed.
    pub(super) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }
}
