//! Standard streams.

use super::*;

#[test]
fn a_reader_that_does_not_read_delays_neither_kill_nor_delete_for_long() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    // Nobody reads, and the FIFO is full before the first word.
    let mut filler = OpenOptions::new();
    let mut filler =
        filler.write(true).custom_flags(libc::O_NONBLOCK).open(setting.path("stdout")).expect("a writer");
    while filler.write(&[b'x'; 4096]).is_ok() {}
    while filler.write(b"x").is_ok() {}
    let container = setting.sandbox.get("c").expect("there");
    container.start().expect("started");
    // Input is taken only after the greeting was asked for, and the fake core greets at once.
    let input = OpenOptions::new().read(true).write(true).open(setting.path("stdin")).expect("both ends");
    (&input).write_all(b"x").expect("room");
    taken(&input);
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    let begun = Instant::now();
    setting.sandbox.delete("c").expect("deleted");
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn standard_error_is_silent_and_ends_with_the_container() {
    let setting = Setting::new();
    let container = setting.running();
    let (mut stdout, mut stderr) = (setting.reader(), setting.reader_of("stderr"));
    read_until(&mut stdout, b"# ");
    let silent = stderr.read(&mut [0]).expect_err("not the end yet");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    container.kill(15).expect("asked");
    end_of(&container);
    setting.sandbox.delete("c").expect("deleted");
    assert_eq!(stdout.read(&mut [0]).expect("the end"), 0);
    assert_eq!(stderr.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn the_streams_are_given_to_the_container_s_user() {
    use std::os::unix::fs::MetadataExt;
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"process":{"user":{"uid":1234,"gid":56}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    setting.create("c").expect("created");
    for stream in ["stdin", "stdout", "stderr"] {
        let fifo = std::fs::metadata(setting.path(stream)).expect("there");
        assert_eq!((fifo.uid(), fifo.gid()), (1234, 56), "{stream}");
    }
}

/// What is in the ring is asked for again, for as long as nobody takes it.
#[test]
fn a_kick_that_is_lost_is_made_up_for() {
    let setting = Setting::new();
    let (container, mut reader) = setting.at_prompt();
    setting.type_in(b"deaf");
    read_until(&mut reader, b"deaf");
    setting.type_in(b"still here");
    read_until(&mut reader, b"still here");
    container.kill(9).expect("killed");
    assert_eq!(end_of(&container).status, 137);
}
