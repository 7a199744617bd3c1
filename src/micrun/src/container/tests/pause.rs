//! Pause and resume, by request and by signal.

use super::*;

#[test]
fn a_paused_core_is_silent_and_loses_nothing() {
    let setting = Setting::new();
    let (container, mut reader) = setting.at_prompt();
    container.pause().expect("paused");
    assert_eq!(container.state(), State::Paused);
    let input = OpenOptions::new().read(true).write(true).open(setting.path("stdin")).expect("both ends");
    (&input).write_all(b"while paused").expect("room");
    taken(&input);
    let silent = reader.read(&mut [0; 16]).expect_err("nothing to read");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    container.resume().expect("resumed");
    assert_eq!(read_until(&mut reader, b"while paused"), b"while paused");
    container.kill(9).expect("done");
    let ended = end_of(&container);
    let events = [(); 5].map(|()| setting.event());
    assert!(matches!(events[0], Event::Create { .. }));
    assert_eq!(events[1..], [Event::Start, Event::Paused, Event::Resumed, Event::Exit(ended)]);
}

#[test]
fn pause_and_resume_need_their_states() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let early = container.pause().expect_err("not running");
    assert_eq!(early.to_string(), "container \"c\" is created, pause needs it to be running");
    assert_eq!(kind(container.kill(19)), Kind::FailedPrecondition);
    container.start().expect("started");
    assert_eq!(kind(container.resume()), Kind::FailedPrecondition);
    container.pause().expect("paused");
    let again = container.pause().expect_err("twice");
    assert_eq!(again.to_string(), "container \"c\" is paused, pause needs it to be running");
    assert_eq!(kind(setting.sandbox.delete("c")), Kind::FailedPrecondition);
    container.kill(9).expect("done");
    assert_eq!(end_of(&container).status, 137);
    assert_eq!(kind(container.pause()), Kind::FailedPrecondition);
    assert_eq!(kind(container.resume()), Kind::FailedPrecondition);
    assert_eq!(kind(container.kill(18)), Kind::NotFound);
}

#[test]
fn stop_and_continue_are_pause_and_resume() {
    let setting = Setting::new();
    let container = setting.running();
    for (signal, state) in
        [(18, State::Running), (19, State::Paused), (19, State::Paused), (18, State::Running)]
    {
        container.kill(signal).expect("done");
        assert_eq!(container.state(), state);
    }
    let events = [(); 4].map(|()| setting.event());
    assert_eq!(events[1..], [Event::Start, Event::Paused, Event::Resumed]);
    setting.no_more_events();
}

#[test]
fn a_paused_core_goes_on_to_power_itself_off() {
    let setting = Setting::new();
    let container = setting.running();
    container.pause().expect("paused");
    container.kill(15).expect("asked");
    let ended = end_of(&container);
    assert_eq!(ended.status, 143);
    let events = [(); 5].map(|()| setting.event());
    assert_eq!(events[2..], [Event::Paused, Event::Resumed, Event::Exit(ended)]);
}

#[test]
fn pauses_and_signals_at_once_end_in_one_state() {
    for _ in 0..50 {
        let setting = Setting::new();
        let container = setting.running();
        let act = |action: fn(&Container) -> Result<(), Error>| {
            let container = container.clone();
            thread::spawn(move || drop(action(&container)))
        };
        let acting =
            [act(Container::pause), act(Container::resume), act(|it| it.kill(15)), act(Container::pause)];
        acting.into_iter().for_each(|thread| thread.join().expect("no panic"));
        // A pause that came first or last only delays the end that was asked for.
        drop(container.resume());
        assert_eq!(end_of(&container).status, 143);
    }
}
