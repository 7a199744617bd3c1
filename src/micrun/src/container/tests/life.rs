//! Created, started, ended, deleted.

use super::*;

#[test]
fn a_life_from_create_to_delete() {
    let setting = Setting::new();
    let container = setting.running();
    assert_eq!(container.state(), State::Running);
    let mut reader = setting.reader();
    read_until(&mut reader, b"fake core\r\n# ");
    let all: Vec<u8> = (0..=255).collect();
    setting.type_in(&all);
    assert_eq!(read_until(&mut reader, &[254, 255]), all);
    container.kill(15).expect("asked");
    assert_eq!(end_of(&container).status, 143);
    let ended = setting.sandbox.delete("c").expect("deleted");
    assert_eq!(ended.status, 143);
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Start);
    assert_eq!(setting.event(), Event::Exit(ended));
    assert_eq!(setting.event(), Event::Delete(ended));
    setting.no_more_events();
    assert_eq!(kind(setting.sandbox.get("c").map(drop)), Kind::NotFound);
    assert_eq!(Record::read(setting.bundle.path()), None);
}

#[test]
fn power_is_cut_by_sigkill() {
    let setting = Setting::new();
    let container = setting.running();
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    assert_eq!(kind(container.kill(9)), Kind::NotFound);
}

#[test]
fn a_remote_that_lies_ends_its_own_container_only() {
    let (liar, other) = (Setting::new(), Setting::new());
    let (lying, honest) = (liar.running(), other.running());
    read_until(&mut liar.reader(), b"# ");
    liar.type_in(b"lie");
    assert_eq!(end_of(&lying).status, 139);
    let mut reader = other.reader();
    read_until(&mut reader, b"# ");
    other.type_in(b"still here");
    read_until(&mut reader, b"still here");
    assert_eq!(honest.state(), State::Running);
    honest.kill(9).expect("done");
}

#[test]
fn each_request_needs_its_state() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    assert_eq!(kind(setting.create("c")), Kind::AlreadyExists);
    let container = setting.sandbox.get("c").expect("there");
    assert_eq!(kind(container.kill(15)), Kind::FailedPrecondition);
    container.start().expect("started");
    let again = container.start().expect_err("twice");
    assert_eq!(again.to_string(), "container \"c\" is running, start needs it to be created");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::FailedPrecondition);
    assert_eq!(kind(container.kill(28)), Kind::InvalidArgument);
    container.kill(9).expect("done");
    end_of(&container);
    assert_eq!(kind(container.start()), Kind::FailedPrecondition);
    setting.sandbox.delete("c").expect("deleted");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::NotFound);
}

#[test]
fn a_container_that_never_ran_is_deleted_without_an_exit() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let waiters: Vec<_> = (0..3)
        .map(|_| container.clone())
        .map(|container| thread::spawn(move || end_of(&container)))
        .collect();
    let ended = setting.sandbox.delete("c").expect("deleted");
    assert_eq!(ended.status, 137);
    for waiter in waiters {
        assert_eq!(waiter.join().expect("no panic"), ended);
    }
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Delete(ended));
    setting.no_more_events();
}

#[test]
fn sigkill_ends_a_container_that_never_ran() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    container.kill(9).expect("done");
    let ended = end_of(&container);
    assert_eq!(ended.status, 137);
    assert_eq!(kind(container.start()), Kind::FailedPrecondition);
    assert_eq!(setting.sandbox.delete("c").expect("deleted"), ended);
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Exit(ended));
    assert_eq!(setting.event(), Event::Delete(ended));
}

#[test]
fn the_record_tells_the_end() {
    let setting = Setting::new();
    let container = setting.running();
    assert_eq!(Record::read(setting.bundle.path()).expect("a record").exit(), None);
    container.kill(15).expect("asked");
    end_of(&container);
    // Written before anybody was told.
    let recorded = Record::read(setting.bundle.path()).and_then(|record| record.exit()).expect("an end");
    assert_eq!(recorded.status, 143);
}
