//! Where sockets of the RTOS are: in the network that the container would have, or nowhere.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns, unshare};

use crate::bundle::Namespace;

/// The network of one RTOS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// It was not asked for: every call is refused.
    #[default]
    Off,
    /// The host's.
    Host,
    /// The namespace of this file, a pod's.
    At(PathBuf),
    /// A new one, in which there is nothing.
    New,
}

impl Network {
    /// What a process would have that the specification gives `namespaces`.
    pub fn of(namespaces: &[Namespace]) -> Network {
        let network = namespaces.iter().find(|namespace| namespace.kind == "network");
        match network.map(|network| network.path.clone().filter(|path| !path.as_os_str().is_empty())) {
            None => Network::Host,
            Some(Some(path)) => Network::At(path),
            Some(None) => Network::New,
        }
    }

    /// Has the calling thread be there, for ever.
    pub(super) fn enter(&self) -> io::Result<()> {
        match self {
            Network::Off | Network::Host => Ok(()),
            Network::At(path) => Ok(setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?),
            Network::New => Ok(unshare(CloneFlags::CLONE_NEWNET)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_decides() {
        let of = |kind: &str, path: Option<&str>| {
            let namespace = Namespace { kind: kind.to_owned(), path: path.map(PathBuf::from) };
            Network::of(&[namespace])
        };
        assert_eq!(of("pid", None), Network::Host);
        assert_eq!(of("network", None), Network::New);
        assert_eq!(of("network", Some("")), Network::New);
        assert_eq!(of("network", Some("/run/netns/a")), Network::At("/run/netns/a".into()));
    }
}
