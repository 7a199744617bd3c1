//! Containers under the pedestal remoteproc: what only its cores do.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::pedestal::OF_RPROC;
use crate::container::{Container, KILL, KILLED, PROMPT};
use crate::module::Module;
use crate::suite::Test;
use crate::wish::{RTOS, Wish};

pub const TESTS: &[Test] = &[
    Test::new("rproc: what does not fit is refused by name", refusals),
    Test::new("rproc: an image of Arm's remoteproc runtime", image_of_arm),
    Test::new("rproc: a console over rpmsg_char", over_rpmsg_char),
];

/// Nothing but the file, its path as the command, and the name of the core.
fn image_of_arm() -> Result<()> {
    let _module = OF_RPROC.load()?;
    let mut container = Container::run(Wish { command: "app.elf", ..OF_RPROC.wish("a") })?;
    container.type_in(b"uname\r")?;
    container.expect(PROMPT)?;
    container.signal(KILL)?;
    ensure!(container.wait()? == KILLED);
    container.delete()?;
    OF_RPROC.tidy()
}

/// A module that is not there for a while.
struct Without(&'static str);

impl Without {
    fn unload(name: &'static str) -> Result<Without> {
        Module::try_unload(name)?;
        Ok(Without(name))
    }
}

impl Drop for Without {
    fn drop(&mut self) {
        // If it fails, the next test that needs it says so.
        let _ = Module::load(self.0, "").map(std::mem::forget);
    }
}

/// Without a driver for terminals the channel becomes an endpoint's device.
fn over_rpmsg_char() -> Result<()> {
    let _module = OF_RPROC.load()?;
    let _without = Without::unload("rpmsg_tty")?;
    let mut container = Container::run(OF_RPROC.wish("a"))?;
    // It speaks first, other than over a terminal.
    container.expect(PROMPT)?;
    container.type_in(b"echo hello\r")?;
    container.expect("\r\nhello\r\n")?;
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    container.expect(PROMPT)?;
    container.type_in(b"raw 5000\n")?;
    container.expect("raw 5000\r\n")?;
    ensure!(container.exchange(&bytes)? == bytes, "bytes were changed on their way");
    container.signal(KILL)?;
    ensure!(container.wait()? == KILLED);
    container.delete()?;
    OF_RPROC.tidy()
}

fn refusals() -> Result<()> {
    let refusal = |annotations: &[(&str, &str)]| Container::refusal(Wish::new("a", annotations));
    let pedestal = ("org.openeuler.micrun.ped.pedestal", "remoteproc");
    let none = refusal(&[pedestal])?;
    ensure!(none.ends_with("there is none; this system has none"), "{none:?}");
    let _module = OF_RPROC.load()?;
    let there = "there is none; this system has remoteproc0 (remoteproc-cpu3)";
    let unknown = refusal(&[("remoteproc.name", "m4")])?;
    ensure!(unknown.ends_with(&format!("remote processor \"m4\": {there}")), "{unknown:?}");
    let conf = "[Mica]\nName=a\nClientPath=/firmware.elf\n[Micrun]\nRemoteproc=m7\n";
    let unknown = Container::refusal(Wish { conf: Some(conf), ..Wish::new("a", &[pedestal]) })?;
    ensure!(unknown.ends_with(&format!("remote processor \"m7\": {there}")), "{unknown:?}");
    // The only one there is needs no name.
    let only = Container::create(Wish::new("a", &[pedestal]))?;
    only.crash()?;
    fs::write("/tmp/no.elf", "no elf file")?;
    let bad = Container::refusal(Wish { firmware: "/tmp/no.elf", ..OF_RPROC.wish("a") })?;
    ensure!(bad.contains("not firmware that linux loads on a remote processor"), "{bad:?}");
    // Somebody else's start.
    fs::copy(RTOS, "/lib/firmware/theirs.elf")?;
    let core = Path::new("/sys/class/remoteproc/remoteproc0");
    fs::write(core.join("firmware"), "theirs.elf")?;
    fs::write(core.join("state"), "start")?;
    let used = Container::refusal(OF_RPROC.wish("a"))?;
    ensure!(used.contains("remoteproc0 is running, and was not started by micrun"), "{used:?}");
    fs::write(core.join("state"), "stop")?;
    fs::remove_file("/lib/firmware/theirs.elf")?;
    OF_RPROC.tidy()
}
