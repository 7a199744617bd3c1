//! The same life where somebody else drives the core and the console is a device.

use super::*;

/// A setting whose containers are of the fake manager, with more annotations.
fn setting(annotations: &str) -> Setting {
    let setting = Setting::new();
    let config = CONFIG.replace("\"fake\"", &format!("\"fake-manager\"{annotations}"));
    std::fs::write(setting.path("config.json"), config).expect("written");
    setting
}

/// A running container that has greeted.
fn greeted(setting: &Setting) -> (Arc<Container>, File) {
    let container = setting.running();
    let mut reader = setting.reader();
    read_until(&mut reader, b"fake manager\n");
    (container, reader)
}

fn held(setting: &Setting) -> crate::pedestal::Held {
    Record::read(setting.bundle.path()).and_then(|record| record.held).expect("recorded")
}

#[test]
fn a_life_from_create_to_delete() {
    let setting = setting("");
    let (container, mut reader) = greeted(&setting);
    let mut all: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    all.push(b'\n');
    setting.type_in(&all);
    assert_eq!(read_until(&mut reader, b"\xff\n"), all);
    assert_eq!(kind(container.pause()), Kind::Unimplemented);
    container.kill(15).expect("asked");
    assert_eq!(end_of(&container).status, 143);
    let ended = setting.sandbox.delete("c").expect("deleted");
    assert!(matches!(setting.event(), Event::Create { .. }));
    assert_eq!(setting.event(), Event::Start);
    assert_eq!(setting.event(), Event::Exit(ended));
    assert_eq!(setting.event(), Event::Delete(ended));
    setting.no_more_events();
    assert_eq!(Record::read(setting.bundle.path()), None);
}

#[test]
fn an_end_that_nobody_asked_for_is_noticed() {
    for (command, status) in [(b"exit\n".as_slice(), 0), (b"crash\n", 139)] {
        let setting = setting("");
        let (container, _reader) = greeted(&setting);
        setting.type_in(command);
        assert_eq!(end_of(&container).status, status);
        assert_eq!(kind(container.kill(9)), Kind::NotFound);
    }
}

#[test]
fn a_device_that_goes_away_comes_back() {
    let setting = setting("");
    let (container, mut reader) = greeted(&setting);
    setting.type_in(b"away\n");
    read_until(&mut reader, b"away\n");
    setting.type_in(b"still here\n");
    assert_eq!(read_until(&mut reader, b"still here\n"), b"still here\n");
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
}

#[test]
fn a_core_that_does_not_stop_is_forced_to() {
    let setting = setting(",\"org.openeuler.micrun.container.stop_timeout\":\"1\"");
    let (container, mut reader) = greeted(&setting);
    setting.type_in(b"stubborn\n");
    read_until(&mut reader, b"stubborn\n");
    container.kill(15).expect("asked");
    assert_eq!(end_of(&container).status, 137);
}

#[test]
fn a_core_that_cannot_be_stopped_does_not_keep_its_container() {
    let setting = setting("");
    let (container, mut reader) = greeted(&setting);
    let held = held(&setting);
    setting.type_in(b"wedge\n");
    read_until(&mut reader, b"wedge\n");
    container.kill(9).expect("asked");
    assert_eq!(end_of(&container).status, 137);
    setting.sandbox.delete("c").expect("deleted");
    held.end().expect("ended");
}

#[test]
fn another_process_ends_it_from_the_record_alone() {
    let setting = setting("");
    setting.create("c").expect("created");
    let before = held(&setting);
    let container = setting.sandbox.get("c").expect("there");
    container.start().expect("started");
    assert_eq!(held(&setting), before);
    before.end().expect("ended");
    assert_eq!(end_of(&container).status, 0);
    before.end().expect("nothing to do");
    assert_eq!(Record::read(setting.bundle.path()).and_then(|record| record.held), None);
}

#[test]
fn nothing_is_lost_to_a_reader_or_a_device_that_takes_its_time() {
    let setting = setting("");
    let (container, mut reader) = greeted(&setting);
    // More than all buffers on the way hold, there and back.
    let lines: Vec<u8> = (0..40_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let path = setting.path("stdin");
    let typed = lines.clone();
    let writer = thread::spawn(move || {
        let mut writer = OpenOptions::new().write(true).open(path).expect("a writer");
        writer.write_all(&typed).expect("room in time");
    });
    assert_eq!(read_until(&mut reader, b"\n39999\n"), lines);
    writer.join().expect("all was taken");
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
}
