//! The containers that this shim serves: one, or those of a pod.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::container::{Container, Request, Surroundings};
use crate::error::Error;
use crate::reactor::Ended;

/// All containers by id. The lock of this map is taken before a container's own, and never held over slow work.
pub struct Sandbox {
    surroundings: Surroundings,
    /// `None`: a Create of that id is under way.
    containers: Mutex<BTreeMap<String, Option<Arc<Container>>>>,
}

impl Sandbox {
    /// A sandbox without containers.
    pub fn new(surroundings: Surroundings) -> Sandbox {
        Sandbox { surroundings, containers: Mutex::default() }
    }

    /// Makes a container.
    pub fn create(&self, request: Request) -> Result<(), Error> {
        let id = request.id.clone();
        self.reserve(&id)?;
        let created = Container::create(request, self.surroundings.clone());
        let mut containers = self.containers.lock().unwrap();
        match created {
            Ok(container) => {
                containers.insert(id, Some(Arc::new(container)));
                Ok(())
            }
            Err(error) => {
                containers.remove(&id);
                Err(error)
            }
        }
    }

    /// The container of that id.
    pub fn get(&self, id: &str) -> Result<Arc<Container>, Error> {
        let containers = self.containers.lock().unwrap();
        containers.get(id).cloned().flatten().ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// Deletes a container that does not run.
    pub fn delete(&self, id: &str) -> Result<Ended, Error> {
        let container = self.get(id)?;
        let ended = container.begin_delete()?;
        // Of two Deletes at once, the one that removes it from the map goes on.
        let removed = self.containers.lock().unwrap().remove(id);
        removed.ok_or_else(|| Error::NotFound(id.to_owned()))?;
        container.finish_delete(ended);
        Ok(ended)
    }

    /// True if no container is left.
    pub fn is_empty(&self) -> bool {
        self.containers.lock().unwrap().is_empty()
    }

    fn reserve(&self, id: &str) -> Result<(), Error> {
        if !valid_id(id) {
            return Err(Error::BadId(id.to_owned()));
        }
        let mut containers = self.containers.lock().unwrap();
        if containers.contains_key(id) {
            return Err(Error::AlreadyExists(id.to_owned()));
        }
        containers.insert(id.to_owned(), None);
        Ok(())
    }
}

/// True for the ids that containerd makes (its `identifiers` package); they become parts of paths.
fn valid_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    id.len() <= 76
        && id.bytes().all(allowed)
        && id.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::valid_id;

    #[test]
    fn ids_that_are_no_file_names_are_refused() {
        for id in ["a", "hello-1", "a.b_c", "0123456789abcdef", &"x".repeat(76)] {
            assert!(valid_id(id), "{id}");
        }
        for id in ["", ".", "..", "-a", "a/b", "a b", "é", &"x".repeat(77)] {
            assert!(!valid_id(id), "{id}");
        }
    }
}
