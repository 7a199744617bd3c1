//! Announcements, by themselves: names from a remote reach logs and decide who gets the console.

use openamp::rpmsg::{ADDR_ANY, Announcement, Name};

use super::{Runner, Source, mutate};

const NAMES: [&str; 6] =
    ["rpmsg-tty", "rpmsg-tty1", "rpmsg-rpc", "rpmsg-umt", "x", "a-name-of-exactly-31-characters"];

pub(super) fn runner() -> Runner {
    let mut payload = Vec::new();
    Box::new(move |source| {
        let valid = valid(source);
        payload.clear();
        payload.extend(valid.encode());
        assert_eq!(Announcement::decode(&payload), Ok(valid));
        mutate::bytes(source, &mut payload);
        if let Ok(announcement) = Announcement::decode(&payload) {
            judge(&payload, announcement);
        }
    })
}

fn valid(source: &mut Source) -> Announcement {
    let name = Name::new(NAMES[source.below(NAMES.len())]).expect("a name");
    // The address that means "any" is nobody's.
    let addr = (source.tricky() as u32).min(ADDR_ANY - 1);
    Announcement { name, addr, created: source.one_in(2) }
}

/// What holds for every announcement that is accepted.
fn judge(payload: &[u8], announcement: Announcement) {
    assert_eq!(payload.len(), 40);
    let name = announcement.name.as_str();
    assert!((1..32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    assert!(payload.starts_with(name.as_bytes()) && payload[name.len()] == 0, "{name:?}");
    assert_eq!(Name::new(name), Ok(announcement.name));
    assert_eq!(Announcement::decode(&announcement.encode()), Ok(announcement));
}
