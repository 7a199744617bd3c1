//! The console is a clean channel: every byte, in order, in both directions, whatever the reader does; and no reader
//! can keep a container alive.
//!
//! Each test has a containerd of its own, so that they run at once.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use qemu_tests::{DEADLINE, PROMPT, Pty, Testbed, transcript, wait_for};
use rustix::fs::OFlags;
use test_rtos::buffer::Buffer;
use test_rtos::flood::{Flood, LINE_LEN};

const MIB: usize = 1 << 20;
/// What has to arrive without loss: far more than all buffers on the way hold.
const MUCH: usize = 8 * MIB;
/// More than everything between the RTOS and a reader holds: rings, FIFO, client, terminal.
const TOO_MUCH: usize = 1 << 40;

/// The stream of `flood len`, as the firmware's own code computes it.
fn flood(len: usize) -> Vec<u8> {
    let (mut flood, mut line, mut all) = (Flood::new(len as u64), Buffer::<LINE_LEN>::new(), Vec::new());
    loop {
        let done = flood.fill(&mut line);
        all.extend_from_slice(line.as_slice());
        line.clear();
        if done {
            return all;
        }
    }
}

/// Demands equality, and says where it ends: the streams themselves fill pages.
fn assert_same(what: &[u8], expected: &[u8]) {
    let end = what.iter().zip(expected).take_while(|(byte, other)| byte == other).count();
    let excerpt = |bytes: &[u8]| {
        let from = end.saturating_sub(LINE_LEN);
        String::from_utf8_lossy(bytes.get(from..bytes.len().min(end + LINE_LEN)).unwrap_or_default())
            .into_owned()
    };
    assert!(
        what.len() == expected.len() && end == expected.len(),
        "{} bytes differ at byte {end} from the expected {}: {:?} in place of {:?}",
        what.len(),
        expected.len(),
        excerpt(what),
        excerpt(expected),
    );
}

/// Everything that a session must print: banner, prompts, and each command's echo and answer.
fn printed(dialogue: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = format!("micrun test RTOS {} on CPU 3\r\n{PROMPT}", env!("CARGO_PKG_VERSION")).into_bytes();
    for (command, answer) in dialogue {
        all.extend([command.as_bytes(), b"\r\n", answer].concat());
    }
    all
}

/// The answer of a command that is followed by a prompt.
fn answer(bytes: &[u8]) -> Vec<u8> {
    [bytes, PROMPT.as_bytes()].concat()
}

/// Noise that is the same in every run (xorshift64).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The same as on a board, byte for byte (`amp-tests`).
#[test]
fn an_emulated_core_says_what_a_boards_core_says() -> Result<()> {
    let testbed = Testbed::new()?;
    let output = testbed.session("transcript", transcript::INPUT)?;
    assert_same(&output.stdout, transcript::OUTPUT);
    assert_eq!(output.status.code(), Some(transcript::STATUS.cast_signed()));
    Ok(())
}

#[test]
fn eight_mebibytes_arrive_complete_and_in_order() -> Result<()> {
    let bed = Testbed::new()?;
    let session = bed.session("flood", format!("flood {MUCH}\nexit 0\n").as_bytes())?.ok()?;
    let command = format!("flood {MUCH}");
    assert_same(&session.stdout, &printed(&[(&command, &answer(&flood(MUCH))), ("exit 0", b"")]));
    bed.clean()
}

#[test]
fn a_reader_that_pauses_misses_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("pauses")?;
    console.send(format!("flood {MUCH}\r").as_bytes())?;
    let mut read = console.take(format!("flood {MUCH}\r\n").len(), DEADLINE)?;
    read.clear();
    for _ in 0..MUCH / (2 * MIB) {
        read.extend(console.take(MIB, DEADLINE)?);
        stop_reading(&bed, &console)?;
        assert_eq!(bed.task("pauses").status()?.as_deref(), Some("RUNNING"));
        console.resume();
        read.extend(console.take(MIB, DEADLINE)?);
    }
    assert_same(&read, &flood(MUCH));
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 0\r")?;
    assert!(console.wait(DEADLINE)?.success());
    bed.clean()
}

/// Stops reading and waits until the flood stands still, all the way back to the RTOS.
fn stop_reading(bed: &Testbed, console: &Pty) -> Result<()> {
    console.pause();
    let len = || console.transcript().len();
    wait_for("the flood to stand still", DEADLINE, || {
        let before = len();
        bed.ctr.ok(&["version"]).ok()?;
        (len() == before).then_some(())
    })
}

#[test]
fn all_byte_values_pass_in_both_directions() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("bytes")?;
    let all: Vec<u8> = (0..=255).collect();
    console.send(b"raw 256\r")?;
    console.expect("raw 256\r\n", DEADLINE)?;
    console.send(&all)?;
    assert_same(&console.take(256, DEADLINE)?, &all);
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 0\r")?;
    assert!(console.wait(DEADLINE)?.success());
    bed.clean()
}

#[test]
fn noise_typed_ahead_comes_back_unchanged() -> Result<()> {
    const LEN: usize = 64 << 10;
    let bed = Testbed::new()?;
    let (noise, command) = (noise(LEN), format!("raw {LEN}"));
    let input = [format!("{command}\n").as_bytes(), &noise, b"exit 0\n"].concat();
    let session = bed.session("noise", &input)?.ok()?;
    assert_same(&session.stdout, &printed(&[(&command, &answer(&noise)), ("exit 0", b"")]));
    bed.clean()
}

#[test]
fn what_is_printed_just_before_the_end_arrives() -> Result<()> {
    const LEN: usize = 100_000;
    let bed = Testbed::new()?;
    let command = format!("flood {LEN}");
    let expected = printed(&[(&command, &answer(&flood(LEN))), ("exit 5", b"")]);
    for _ in 0..10 {
        let session = bed.session("last", format!("{command}\nexit 5\n").as_bytes())?;
        assert_eq!(session.status.code(), Some(5), "{}", session.complaint());
        assert_same(&session.stdout, &expected);
    }
    bed.clean()
}

#[test]
fn the_end_of_the_input_is_not_the_end_of_the_container() -> Result<()> {
    let bed = Testbed::new()?;
    let arguments = bed.run_words(&["--rm"], qemu_tests::Artifacts::HELLO, "eof");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut client = bed.ctr.command(&words);
    let running =
        std::thread::spawn(move || qemu_tests::run_with_input(&mut client, b"echo done\n", DEADLINE));
    let task = bed.task("eof");
    wait_for("the task", DEADLINE, || {
        task.status().is_ok_and(|status| status.as_deref() == Some("RUNNING")).then_some(())
    })?;
    task.kill("SIGTERM")?;
    let ended = running.join().expect("the client's thread")?;
    assert_eq!(ended.status.code(), Some(143));
    bed.clean()
}

/// A container whose output nobody takes any more: the client's terminal stands still in the middle of a flood.
fn stuck<'b>(bed: &'b Testbed, id: &str) -> Result<(Pty, qemu_tests::Task<'b>)> {
    let mut console = bed.console(id)?;
    console.send(format!("flood {TOO_MUCH}\r").as_bytes())?;
    console.take(MIB, DEADLINE)?;
    stop_reading(bed, &console)?;
    Ok((console, bed.task(id)))
}

#[test]
fn a_reader_that_stopped_does_not_block_sigkill() -> Result<()> {
    let bed = Testbed::new()?;
    let (console, task) = stuck(&bed, "killed")?;
    task.kill("SIGKILL")?;
    task.ended()?;
    assert_eq!(task.delete()?, 137);
    drop(console);
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_reader_that_stopped_does_not_block_sigterm() -> Result<()> {
    let bed = Testbed::new()?;
    let (console, task) = stuck(&bed, "asked")?;
    task.kill("SIGTERM")?;
    task.ended()?;
    assert_eq!(task.delete()?, 143);
    drop(console);
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_fifo_that_is_never_read_blocks_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    let task = bed.detached("unread")?;
    // Opened and not read: the FIFO has a reader who does nothing.
    let mut reader = open_unread(&task.fifo("stdout")?)?;
    std::fs::write(task.fifo("stdin")?, format!("flood {TOO_MUCH}\r"))?;
    wait_for("a full FIFO", DEADLINE, || is_full(&task).ok()?.then_some(()))?;
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    assert_eq!(task.end_by("SIGKILL")?, 137);
    bed.clean()?;
    // What was in it is still there for whoever comes late.
    let mut first = [0; 16];
    reader.read_exact(&mut first).context("the FIFO is empty")?;
    Ok(())
}

fn open_unread(path: &std::path::Path) -> Result<File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(true).custom_flags(flags).open(path).with_context(|| path.display().to_string())
}

/// Whether no more than a page fits into the task's FIFO.
fn is_full(task: &qemu_tests::Task<'_>) -> Result<bool> {
    let fifo = open_unread(&task.fifo("stdout")?)?;
    let held = rustix::io::ioctl_fionread(&fifo)?;
    Ok(held > (60 << 10))
}
