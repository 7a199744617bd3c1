//! Where output can go and what a container can be told about its console: files, loggers, output that nobody reads,
//! paced input, and ends by the clock.
//!
//! Each test has a containerd of its own, so that they run at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use qemu_tests::{
    Artifacts, DEADLINE, Output, PROMPT, Task, Testbed, kill_9, lives, run_with_input, wait_for,
};
use test_rtos::buffer::Buffer;
use test_rtos::flood::{Flood, LINE_LEN};

/// A logger in the shell's language: tells what it was given, says that it is ready, and copies.
const LOGGER: &str = r#"#!/bin/sh
tr '\0' '\n' < /proc/$$/environ > "$2/environment"
printf '%s\n' "$@" > "$2/arguments"
for number in 3 4 5; do readlink "/proc/$$/fd/$number" | cut -d: -f1; done > "$2/descriptors"
exec 5>&-
cat <&4 > "$2/stderr"
cat <&3 > "$2/stdout"
echo done > "$2/end"
"#;

/// What a container says before anything is typed.
fn banner() -> String {
    format!("micrun test RTOS {} on CPU 3\r\n{PROMPT}", env!("CARGO_PKG_VERSION"))
}

/// A containerd, and a directory for its streams with a blank in its name.
fn ground() -> Result<(Testbed, PathBuf)> {
    let bed = Testbed::new()?;
    let directory = bed.containerd.directory().join("the streams");
    fs::create_dir(&directory)?;
    Ok((bed, directory))
}

/// `path` as it stands in a URI.
fn encoded(path: &Path) -> String {
    path.to_string_lossy().replace(' ', "%20")
}

/// Writes `script` as the logger of `directory`, and gives the URI that runs it with the directory as an argument.
fn logger(directory: &Path, scheme: &str, script: &str) -> Result<String> {
    let path = directory.join("logger");
    fs::write(&path, script)?;
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    Ok(format!("{scheme}://{}?dir={}", encoded(&path), encoded(directory)))
}

/// Starts hello in the background with its output at `uri`.
fn logged<'b>(bed: &'b Testbed, id: &str, uri: &str) -> Result<Task<'b>> {
    bed.run(&["-d", "--log-uri", uri], Artifacts::HELLO, id)?.ok()?;
    Ok(bed.task(id))
}

/// Runs hello in the foreground with an annotation, and with input typed ahead, to its end.
fn annotated(bed: &Testbed, annotations: &[&str], input: &[u8]) -> Result<Output> {
    let options: Vec<&str> =
        annotations.iter().flat_map(|pair| ["--annotation", pair]).chain(["--rm"]).collect();
    let words = bed.run_words(&options, Artifacts::HELLO, "told");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run_with_input(&mut bed.ctr.command(&words), input, DEADLINE)
}

/// Waits until the file has this content.
fn becomes(path: &Path, content: &str) -> Result<()> {
    let what = format!("{content:?} in {}", path.display());
    wait_for(&what, DEADLINE, || (fs::read_to_string(path).ok()? == content).then_some(()))
}

/// Waits until a line of the shim's log contains `text`, and gives it.
fn logged_line(bed: &Testbed, text: &str) -> Result<String> {
    let line = || bed.containerd.log().lines().find(|line| line.contains(text)).map(str::to_owned);
    wait_for(&format!("{text:?} in the log"), DEADLINE, line)
}

#[test]
fn a_file_is_made_with_its_directories_and_appended_to() -> Result<()> {
    let (bed, directory) = ground()?;
    let log = directory.join("a/b/log");
    let uri = format!("file://{}", encoded(&log));
    for run in 1..=2 {
        let task = logged(&bed, "file", &uri)?;
        becomes(&log, &banner().repeat(run))?;
        assert_eq!(task.end_by("SIGTERM")?, 143);
    }
    let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    assert_eq!(
        [mode(&log)?, mode(&directory.join("a/b"))?, mode(&directory.join("a"))?],
        [0o644, 0o755, 0o755]
    );
    bed.clean()
}

#[test]
fn a_logger_gets_what_the_protocol_promises() -> Result<()> {
    for scheme in ["binary", "binary-v2"] {
        let (bed, directory) = ground()?;
        let script = match scheme {
            "binary" => LOGGER.to_owned(),
            _ => LOGGER.replace("exec 5>&-", "printf x >&5; exec 5>&-"),
        };
        let uri = logger(&directory, scheme, &script)?;
        let task = logged(&bed, "logged", &format!("{uri}&empty&sum=1+1%3D2&dir=other"))?;
        // All of this was written before it was ready, so it is there when Create returns.
        let told = |name: &str| fs::read_to_string(directory.join(name));
        assert_eq!(told("environment")?, "CONTAINER_ID=logged\nCONTAINER_NAMESPACE=micrun\n");
        let arguments = format!("dir\n{}\nempty\n\nsum\n1 1=2\n", directory.display());
        assert_eq!(told("arguments")?, arguments);
        assert_eq!(told("descriptors")?, "pipe\npipe\npipe\n");
        assert!(!directory.join("end").exists());
        assert_eq!(task.end_by("SIGTERM")?, 143);
        becomes(&directory.join("end"), "done\n")?;
        // Standard output is read after the end of standard error: until then it is in its pipe.
        assert_eq!(told("stdout")?, banner());
        assert_eq!(told("stderr")?, "");
        bed.clean()?;
    }
    Ok(())
}

#[test]
fn a_logger_outlives_a_killed_shim_and_ends_by_itself() -> Result<()> {
    let (bed, directory) = ground()?;
    let uri = logger(&directory, "binary", LOGGER)?;
    let task = logged(&bed, "orphan", &uri)?;
    kill_9(task.pid()?)?;
    becomes(&directory.join("end"), "done\n")?;
    task.gone()?;
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_logger_that_is_never_ready_is_ended() -> Result<()> {
    let (bed, directory) = ground()?;
    let uri = logger(&directory, "binary", "#!/bin/sh\necho $$ > \"$2/pid\"\nexec sleep 600\n")?;
    let refused = bed.run(&["-d", "--log-uri", &uri], Artifacts::HELLO, "slow")?;
    let sentence = "it was not ready within 10 s: it must close descriptor 5";
    assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
    let pid = fs::read_to_string(directory.join("pid"))?.trim().parse()?;
    wait_for("the logger's end", DEADLINE, || (!lives(pid)).then_some(()))?;
    bed.task("slow").remove_container()?;
    bed.clean()
}

#[test]
fn a_logger_that_cannot_be_had_is_a_clear_error() -> Result<()> {
    let (bed, directory) = ground()?;
    let silent = logger(&directory, "binary-v2", "#!/bin/sh\nexit 0\n")?;
    let missing = "binary:///does/not/exist".to_owned();
    for (id, uri, sentence) in [
        ("silent", silent, "it closed descriptor 5 without writing a byte to it"),
        ("missing", missing, "logger \"/does/not/exist\": No such file or directory (os error 2)"),
    ] {
        let refused = bed.run(&["-d", "--log-uri", &uri], Artifacts::HELLO, id)?;
        assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
        bed.task(id).remove_container()?;
    }
    bed.clean()
}

#[test]
fn a_logger_that_dies_costs_the_output_only() -> Result<()> {
    let (bed, directory) = ground()?;
    let uri = logger(&directory, "binary", "#!/bin/sh\nexit 3\n")?;
    let task = logged(&bed, "dead", &uri)?;
    let line = logged_line(&bed, "further output is dropped")?;
    assert!(line.contains("stdout: Broken pipe"), "{line}");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    assert_eq!(task.end_by("SIGTERM")?, 143);
    bed.clean()
}

/// The stream of `flood len`, as the firmware's own code computes it.
fn flood(len: usize) -> Vec<u8> {
    let (mut flood, mut line, mut all) = (Flood::new(len as u64), Buffer::<LINE_LEN>::new(), Vec::new());
    while !flood.fill(&mut line) {
        all.extend_from_slice(line.as_slice());
        line.clear();
    }
    all.extend_from_slice(line.as_slice());
    all
}

#[test]
fn output_that_nobody_reads_loses_its_oldest_bytes_and_they_are_counted() -> Result<()> {
    const LEN: usize = 1 << 20;
    let bed = Testbed::new()?;
    let task = bed.detached("alone")?;
    // The firmware reads the second command after the flood: it is not held up for good.
    fs::write(task.fifo("stdin")?, format!("flood {LEN}\recho the end\r"))?;
    logged_line(&bed, "stdout is full and nobody reads it")?;
    let unread = wait_for("all input to be taken", DEADLINE, || {
        unread_of(&task, "stdin").ok().filter(|len| *len == 0)
    });
    assert_eq!(unread?, 0);
    let mut console = task.attach()?;
    console.expect("echo the end\r\nthe end\r\n", DEADLINE)?;
    console.expect(PROMPT, DEADLINE)?;
    let (read, said) = (console.transcript(), banner());
    let (before, after) = (format!("{said}flood {LEN}\r\n"), "echo the end\r\nthe end\r\n");
    let all =
        [before.as_bytes(), &flood(LEN), PROMPT.as_bytes(), after.as_bytes(), PROMPT.as_bytes()].concat();
    assert!(all.ends_with(&read), "{} bytes are not the newest", read.len());
    assert!(read.len() > 32 << 10, "{}", read.len());
    let line = logged_line(&bed, "bytes of output were dropped")?;
    let dropped: usize = number_before(&line, " bytes of output")?;
    // The client that started the container may have read its first words.
    let missing = all.len().checked_sub(read.len() + dropped).context("more was dropped than said")?;
    assert!(missing <= said.len(), "{missing} bytes are neither read nor counted");
    // There is a reader now, and it gets everything.
    console.send(format!("flood {LEN}\r").as_bytes())?;
    console.take(format!("flood {LEN}\r\n").len(), DEADLINE)?;
    assert!(console.take(LEN, DEADLINE)? == flood(LEN), "something is missing");
    console.detach()?;
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()
}

#[test]
fn nothing_that_fits_is_lost_while_containerd_is_away() -> Result<()> {
    const LEN: usize = 40_000;
    let mut bed = Testbed::new()?;
    let task = bed.detached("away")?;
    let mut console = task.attach()?;
    console.send(b"echo first\r")?;
    console.expect(&format!("\r\nfirst\r\n{PROMPT}"), DEADLINE)?;
    console.detach()?;
    let stdin = task.fifo("stdin")?;
    kill_9(bed.containerd.pid())?;
    fs::write(stdin, format!("flood {LEN}\recho back\r"))?;
    bed.containerd.restart()?;
    let task = bed.task("away");
    let mut console = task.attach()?;
    console.expect("echo back\r\nback\r\n", DEADLINE)?;
    let (before, after) = (format!("flood {LEN}\r\n"), format!("{PROMPT}echo back\r\nback\r\n"));
    let all = [before.as_bytes(), &flood(LEN), after.as_bytes()].concat();
    assert!(console.transcript().starts_with(&all), "{:?}", console.transcript().len());
    console.detach()?;
    assert_eq!(task.end_by("SIGTERM")?, 143);
    assert!(!bed.containerd.log().contains("dropped"));
    bed.clean()
}

fn unread_of(task: &Task<'_>, stream: &str) -> Result<u64> {
    let fifo = fs::OpenOptions::new().read(true).write(true).open(task.fifo(stream)?)?;
    Ok(rustix::io::ioctl_fionread(&fifo)?)
}

/// The number that stands before `text`.
fn number_before(line: &str, text: &str) -> Result<usize> {
    let (before, _) = line.split_once(text).with_context(|| line.to_owned())?;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().with_context(|| line.to_owned())
}

#[test]
fn paced_input_comes_no_faster_than_its_rate() -> Result<()> {
    const RATE: usize = 100;
    let bed = Testbed::new()?;
    let input = [format!("raw {}\n", 2 * RATE).as_bytes(), &[b'x'; 2 * RATE], b"exit 0\n"].concat();
    let rate = format!("org.openeuler.micrun.console.input_rate={RATE}");
    let begun = Instant::now();
    let session = annotated(&bed, &[&rate], &input)?.ok()?;
    let time = begun.elapsed();
    let expected = format!("{}raw {}\r\n{}{PROMPT}exit 0\r\n", banner(), 2 * RATE, "x".repeat(2 * RATE));
    assert_eq!(session.text(), expected);
    assert!(time > Duration::from_secs(2), "{} bytes at {RATE} per second in {time:?}", input.len());
    bed.clean()
}

#[test]
fn wrong_annotations_are_named() -> Result<()> {
    let bed = Testbed::new()?;
    for (key, value, right) in [
        ("console.input_rate", "0", "a number of bytes per second from 1 to 1000000"),
        ("container.stop_timeout", "soon", "whole seconds or a duration such as 1m30s, at most 365 days"),
        ("container.auto_close", "maybe", "true or false"),
    ] {
        let refused = annotated(&bed, &[&format!("org.openeuler.micrun.{key}={value}")], b"")?;
        let sentence = format!("annotation org.openeuler.micrun.{key} is \"{value}\", it must be {right}");
        assert!(refused.complaint().contains(&sentence), "{}", refused.complaint());
        assert_eq!(refused.status.code(), Some(1));
    }
    bed.clean()
}

/// Runs hello, which hangs, until it is ended by a signal; gives its exit status.
fn hang(bed: &Testbed, annotation: &str) -> Result<Option<i32>> {
    let words = bed.run_words(&["--rm", "-t", "--annotation", annotation], Artifacts::HELLO, "hang");
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"hang\r")?;
    console.expect("hang\r\n", DEADLINE)?;
    bed.task("hang").kill("SIGTERM")?;
    Ok(console.wait(DEADLINE)?.code())
}

#[test]
fn firmware_that_does_not_power_off_is_cut_after_its_time() -> Result<()> {
    let bed = Testbed::new()?;
    assert_eq!(hang(&bed, "org.openeuler.micran.container.stop_timeout=1500ms")?, Some(137));
    logged_line(&bed, "the firmware did not power itself off within 1500 ms: power is cut")?;
    bed.clean()
}

#[test]
fn firmware_in_good_order_is_not_cut() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("orderly")?;
    assert_eq!(task.end_by("SIGTERM")?, 143);
    assert!(!bed.containerd.log().contains("power is cut"));
    bed.clean()
}

#[test]
fn a_silent_console_ends_the_container_that_asks_for_it() -> Result<()> {
    let bed = Testbed::new()?;
    let timeout = "org.openeuler.micrun.container.auto_close_timeout=1s";
    let closed = annotated(&bed, &[timeout], b"echo last\n")?.ok()?;
    assert_eq!(closed.text(), format!("{}echo last\r\nlast\r\n{PROMPT}", banner()));
    logged_line(&bed, "the console has been silent for 1000 ms")?;
    bed.clean()
}

#[test]
fn a_hanging_container_is_closed_as_well() -> Result<()> {
    let bed = Testbed::new()?;
    let (close, stop) = ("container.auto_close_timeout=1", "container.stop_timeout=1");
    let annotations = [close, stop].map(|pair| format!("org.openeuler.micrun.{pair}"));
    let closed = annotated(&bed, &annotations.each_ref().map(String::as_str), b"hang\n")?.ok()?;
    assert_eq!(closed.text(), format!("{}hang\r\n", banner()));
    logged_line(&bed, "the firmware did not power itself off within 1000 ms: power is cut")?;
    bed.clean()
}
