//! Lives of a core under a kernel that is played here, with what real ones do beside what they are asked for.

use std::io;
use std::sync::Condvar;
use std::thread;

use super::*;
use crate::pedestal::managed::Managed;

/// What the kernel is like, and how its core is.
#[derive(Default)]
struct Kernel {
    state: Mutex<Play>,
    changed: Condvar,
    /// Where it looks for files.
    files: PathBuf,
}

#[derive(Default)]
struct Play {
    state: &'static str,
    firmware: String,
    recovery: String,
    /// Starts that were not stopped.
    power: u32,
    /// Words that were written, in order.
    written: Vec<String>,
    /// A crashed core is not stopped.
    strict: bool,
    /// The next write fails with this error.
    fails: Option<i32>,
    /// The core does not power itself off.
    stubborn: bool,
    /// A start takes until this is false.
    slow: bool,
    report: Option<u32>,
    /// The core's driver was removed.
    gone: bool,
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Kernel {
    fn new(files: &Path) -> Arc<Kernel> {
        let play = Play { state: "offline", recovery: "enabled".into(), ..Play::default() };
        Arc::new(Kernel { state: Mutex::new(play), changed: Condvar::new(), files: files.to_owned() })
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.state.lock().unwrap()
    }

    /// The core ends without being asked to.
    fn crash(&self) {
        self.play().state = "crashed";
    }

    fn boot(&self, play: &mut Play) -> io::Result<()> {
        if !self.files.join(&play.firmware).exists() {
            return Err(errno(libc::ENOENT));
        }
        play.state = "running";
        Ok(())
    }

    fn state_write(&self, word: &str) -> io::Result<()> {
        let mut play = self.changed.wait_while(self.play(), |play| word == "start" && play.slow).unwrap();
        match (word, play.state) {
            ("start", _) => {
                play.power += 1;
                if play.power == 1 { self.boot(&mut play).inspect_err(|_| play.power = 0) } else { Ok(()) }
            }
            ("stop", "running") if play.stubborn => Err(errno(libc::ETIMEDOUT)),
            ("stop", "crashed") if play.strict => Err(errno(libc::EINVAL)),
            ("stop", "running" | "attached" | "crashed") => {
                play.power = play.power.saturating_sub(1);
                if play.power == 0 {
                    play.state = "offline";
                }
                Ok(())
            }
            _ => Err(errno(libc::EINVAL)),
        }
    }
}

impl Attributes for Arc<Kernel> {
    fn read(&self, name: &str) -> io::Result<String> {
        let play = self.play();
        if play.gone {
            return Err(errno(libc::ENOENT));
        }
        Ok(match name {
            "state" => play.state.into(),
            "firmware" => play.firmware.clone(),
            "recovery" => play.recovery.clone(),
            "device/report" => format!("{:#x}", play.report.ok_or(errno(libc::ENOENT))?),
            _ => return Err(errno(libc::ENOENT)),
        })
    }

    fn write(&self, name: &str, word: &str) -> io::Result<()> {
        let failure = {
            let mut play = self.play();
            play.written.push(format!("{name} {word}"));
            play.fails.take()
        };
        if let Some(number) = failure {
            return Err(errno(number));
        }
        if name == "state" {
            return self.state_write(word);
        }
        let mut play = self.play();
        match (name, word) {
            ("firmware", _) if play.state != "offline" => return Err(errno(libc::EBUSY)),
            ("firmware", _) => play.firmware = word.into(),
            ("recovery", "recover") if play.state == "crashed" => {
                play.state = "offline";
                // The result of a recovery is not told, and the core counts as started whatever it is.
                let _ = self.boot(&mut play);
            }
            ("recovery", "enabled" | "disabled") => play.recovery = word.into(),
            _ => return Err(errno(libc::EINVAL)),
        }
        Ok(())
    }
}

/// Directories, and a kernel.
struct Setting {
    dir: tempfile::TempDir,
    kernel: Arc<Kernel>,
}

const NEVER: &dyn Fn() -> bool = &|| false;

impl Setting {
    fn new() -> Setting {
        let dir = tempfile::tempdir().expect("a directory");
        let kernel = Kernel::new(&dir.path().join("firmware"));
        for place in ["firmware", "sys/class", "sys/core", "dev"] {
            std::fs::create_dir_all(dir.path().join(place)).expect("made");
        }
        std::os::unix::fs::symlink(dir.path().join("sys"), dir.path().join("sys/core/device"))
            .expect("linked");
        Setting { dir, kernel }
    }

    fn claim(&self, owner: &str) -> Result<Claim, MachineError> {
        Ok(Claim::take_in(&self.dir.path().join("run"), "remoteproc0", owner)?)
    }

    fn driver(&self) -> Driver {
        driver("remoteproc0", self.kernel.clone())
    }

    /// What [`load`] does.
    fn load(&self, owner: &str) -> Result<Remoteproc, String> {
        let path = |place: &str| self.dir.path().join(place);
        let load = || {
            let core = Core::new(self.driver(), self.claim(owner)?, &path("firmware"), b"firmware")?;
            let console = Console::new(&path("sys"), &path("dev"), &path("sys/core"));
            let console = console.map_err(MachineError::system("console"))?;
            Ok(Remoteproc { core: Arc::new(core), console, owner: owner.to_owned() })
        };
        load().map_err(|error: MachineError| error.to_string())
    }

    /// Everything is as it was before.
    fn untouched(&self) {
        let play = self.kernel.play();
        assert_eq!((play.state, play.power, play.recovery.as_str()), ("offline", 0, "enabled"));
        assert_eq!(std::fs::read_dir(&self.kernel.files).expect("there").count(), 0);
        drop(play);
        assert!(self.claim("test").expect("free").left::<Note>().is_none());
    }
}

#[test]
fn a_life_leaves_nothing() {
    let setting = Setting::new();
    for _ in 0..3 {
        let core = setting.load("default/a").expect("loaded");
        assert_eq!(setting.load("default/b").err(), Some("remoteproc0 is taken by default/a".into()));
        core.start(NEVER).expect("started");
        assert_eq!(setting.kernel.play().recovery, "disabled");
        assert_eq!(core.death(), None);
        assert_eq!(core.stop(NEVER).expect("stopped"), Death::PoweredOff);
        setting.untouched();
        assert_eq!(core.death(), Some(Death::PoweredOff));
    }
}

#[test]
fn one_that_never_ran_leaves_nothing() {
    let setting = Setting::new();
    drop(setting.load("default/a").expect("loaded"));
    setting.untouched();
}

#[test]
fn a_crash_is_an_end_and_is_cleared_whatever_the_kernel_wants() {
    for (strict, report, death) in [
        (false, None, Death::Crashed),
        (true, None, Death::Crashed),
        (true, Some(Report::Exit(3).encode()), Death::Exited(3)),
        (false, Some(Report::Fault(0x25).encode()), Death::Crashed),
        (false, Some(0), Death::PoweredOff),
    ] {
        let setting = Setting::new();
        {
            let mut play = setting.kernel.play();
            (play.strict, play.report) = (strict, report);
        }
        let core = setting.load("default/a").expect("loaded");
        core.start(NEVER).expect("started");
        setting.kernel.crash();
        assert_eq!(core.death(), Some(death));
        setting.untouched();
    }
}

#[test]
fn a_core_whose_driver_goes_is_lost_and_leaves_nothing() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    core.start(NEVER).expect("started");
    setting.kernel.play().gone = true;
    assert_eq!(core.death(), Some(Death::Lost));
    assert_eq!(std::fs::read_dir(&setting.kernel.files).expect("there").count(), 0);
    assert!(setting.claim("test").expect("free").left::<Note>().is_none());
}

#[test]
fn a_core_in_use_is_refused_and_left_alone() {
    for state in ["running", "attached", "crashed", "detached", "suspended", "whatever"] {
        let setting = Setting::new();
        setting.kernel.play().state = state;
        let error = setting.load("default/a").err();
        let expected =
            format!("remoteproc0 is {state}, and was not started by micrun: stop it where it was started");
        assert_eq!(error, Some(expected));
        assert!(setting.kernel.play().written.is_empty());
        assert_eq!(std::fs::read_dir(&setting.kernel.files).expect("there").count(), 0);
    }
}

#[test]
fn starts_that_others_counted_are_stopped_too_but_not_for_ever() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    core.start(NEVER).expect("started");
    setting.kernel.play().power += 2;
    core.stop(NEVER).expect("stopped");
    setting.untouched();
    let core = setting.load("default/a").expect("loaded");
    core.start(NEVER).expect("started");
    setting.kernel.play().power += 100;
    let error = core.stop(NEVER).expect_err("still on").to_string();
    assert!(error.starts_with("remoteproc0 is running after stop, which linux says it has done"), "{error}");
    // It is not over before that is known.
    assert_eq!(core.death(), None);
    setting.kernel.play().power = 1;
}

#[test]
fn a_start_that_boots_nothing_is_no_start() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    // As a failed recovery leaves it.
    setting.kernel.play().power = 1;
    let error = core.start(NEVER).expect_err("nothing runs").to_string();
    assert!(error.starts_with("remoteproc0 is offline after start"), "{error}");
}

#[test]
fn the_kernels_refusal_is_told_with_all_there_is_to_know() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    std::fs::remove_dir_all(&setting.kernel.files).expect("removed");
    let error = core.start(NEVER).expect_err("no file").to_string();
    let expected = "remoteproc0, offline: writing \"start\" to state: No such file or directory (os error 2)";
    assert!(error.starts_with(expected), "{error}");
    std::fs::create_dir(&setting.kernel.files).expect("made");
    drop(core);
    setting.untouched();
}

#[test]
fn a_signal_that_looks_like_a_refusal_is_none() {
    let setting = Setting::new();
    let driver = setting.driver();
    std::fs::write(setting.kernel.files.join("x"), "").expect("written");
    setting.kernel.play().fails = Some(libc::EINVAL);
    driver.start("x").expect("tried again");
    assert_eq!(setting.kernel.play().written, ["firmware x", "firmware x", "state start"]);
}

#[test]
fn a_start_that_is_given_up_ends_when_the_kernel_has_done_it() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    setting.kernel.play().slow = true;
    assert!(matches!(core.start(&|| true), Err(MachineError::GivenUp)));
    drop(core);
    // The kernel is still at it.
    assert_eq!(setting.load("default/b").err(), Some("remoteproc0 is taken by default/a".into()));
    setting.kernel.play().slow = false;
    setting.kernel.changed.notify_all();
    let begun = Instant::now();
    let next = loop {
        match setting.load("default/b") {
            Ok(core) => break core,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    };
    drop(next);
    setting.untouched();
}

#[test]
fn firmware_that_does_not_stop_keeps_its_core_until_it_does() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    core.start(NEVER).expect("started");
    setting.kernel.play().stubborn = true;
    assert!(core.stop(NEVER).is_err());
    assert_eq!(core.death(), None);
    assert!(core.stop(&|| true).is_err());
    assert_eq!(core.death(), Some(Death::Lost));
    drop(core);
    // The next one tries again, and says why it cannot have it.
    let error = setting.load("default/b").err().expect("not free");
    assert!(
        error.starts_with("remoteproc0, running: writing \"stop\" to state: Connection timed out"),
        "{error}"
    );
    setting.kernel.play().stubborn = false;
    drop(setting.load("default/b").expect("free at last"));
    setting.untouched();
}

#[test]
fn what_a_killed_shim_left_is_cleaned_up() {
    let setting = Setting::new();
    for runs in [false, true] {
        let core = setting.load("default/a").expect("loaded");
        if runs {
            core.start(NEVER).expect("started");
        }
        // Its descriptors are closed, and nothing else of it is done.
        *core.core.phase() = Phase::Ended(Death::Lost);
        drop(core);
        let claim = setting.claim("delete").expect("free");
        clean_up(&setting.driver(), &claim).expect("cleaned up");
        claim.release();
        setting.untouched();
    }
}

#[test]
fn an_end_reaches_whoever_waits_for_it() {
    let setting = Setting::new();
    let core = setting.load("default/a").expect("loaded");
    let managed = Managed::start(Arc::new(core), NEVER).expect("started");
    setting.kernel.crash();
    crate::sys::wait_readable(managed.bell(), Duration::from_secs(30)).expect("news");
    assert!(matches!(managed.news(), Some(crate::pedestal::managed::News::Ended(Death::Crashed))));
    setting.untouched();
}
