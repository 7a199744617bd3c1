//! The RTOS reaches files by calls to the host: those of its image and its volumes, and no others.
//!
//! Each test has a containerd of its own, so that they run at once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Pty, Testbed, ask};

/// Errors of calls, by the numbers that the RTOS prints.
const NO_ENTRY: &str = "error 2";
const NOT_PERMITTED: &str = "error 30";

/// A containerd, and a directory of the host that containers can be given.
fn ground() -> Result<(Testbed, PathBuf)> {
    let bed = Testbed::new()?;
    let data = bed.containerd.directory().join("data");
    fs::create_dir(&data)?;
    Ok((bed, data))
}

/// What `ctr run` is told of a volume.
fn volume(source: &Path, destination: &str, access: &str) -> String {
    format!("type=bind,src={},dst={destination},options=rbind:{access}", source.display())
}

/// Runs hello in the foreground with `volumes`, and waits for its prompt.
fn console(bed: &Testbed, id: &str, volumes: &[String]) -> Result<Pty> {
    let mut options = vec!["--rm", "-t"];
    options.extend(volumes.iter().flat_map(|volume| ["--mount", volume]));
    let words = bed.run_words(&options, Artifacts::HELLO, id);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut console = bed.ctr.pty(&words)?;
    console.expect(PROMPT, DEADLINE)?;
    Ok(console)
}

/// Until this is dropped nobody can open a file in `directory`: whoever tries hangs, as if its server were gone.
fn hang(directory: &Path) -> Result<Fanotify> {
    let hung = Fanotify::init(InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC, EventFFlags::O_RDONLY)?;
    let opening = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_EVENT_ON_CHILD;
    hung.mark(MarkFlags::FAN_MARK_ADD, opening, rustix::fs::CWD, Some(directory))?;
    Ok(hung)
}

/// A console, with a volume in which calls cannot even begin: the place for the second one is to be made in the first.
fn hung(bed: &Testbed, data: &Path, id: &str) -> Result<(Fanotify, Pty)> {
    let fixed = bed.containerd.directory().join("fixed");
    fs::write(&fixed, "do not change")?;
    let hung = hang(data)?;
    let console = console(bed, id, &[volume(data, "/data", "rw"), volume(&fixed, "/data/fixed", "ro")])?;
    Ok((hung, console))
}

fn exit(mut console: Pty) -> Result<()> {
    console.send(b"exit 0\r")?;
    anyhow::ensure!(console.wait(DEADLINE)?.success());
    Ok(())
}

/// Where the host sees the root file system of the only container.
fn rootfs(bed: &Testbed) -> Result<PathBuf> {
    let bundles = bed.containerd.directory().join("state/io.containerd.runtime.v2.task/micrun");
    let bundle = fs::read_dir(&bundles)?.flatten().next().with_context(|| bundles.display().to_string())?;
    Ok(bundle.path().join("rootfs"))
}

/// The host's mounts that have to do with `directory`.
fn mounts(directory: &Path) -> Result<BTreeSet<String>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let directory = directory.display().to_string();
    Ok(table.lines().filter(|line| line.contains(&directory)).map(str::to_owned).collect())
}

#[test]
fn the_rtos_reads_its_image_and_the_host_sees_what_it_writes() -> Result<()> {
    let (bed, _) = ground()?;
    let mut console = console(&bed, "image", &[])?;
    let listed = ask(&mut console, "ls /")?;
    assert!(listed.lines().any(|name| name == "firmware.elf"), "{listed}");
    assert!(ask(&mut console, "cat /etc/mica/client.conf")?.starts_with("[Mica]"));
    assert_eq!(ask(&mut console, "write /note from the rtos")?, "");
    assert_eq!(fs::read_to_string(rootfs(&bed)?.join("note"))?, "from the rtos");
    fs::write(rootfs(&bed)?.join("note"), "from the host\r\n")?;
    assert_eq!(ask(&mut console, "cat note")?, "from the host\r\n");
    assert!(ask(&mut console, "cat /etc/passwd")?.contains(NO_ENTRY));
    assert!(ask(&mut console, "cat /../../../../etc/passwd")?.contains(NO_ENTRY));
    exit(console)?;
    bed.clean()
}

#[test]
fn a_volume_is_shared_both_ways_and_nothing_of_it_is_mounted_on_the_host() -> Result<()> {
    let (bed, data) = ground()?;
    let fixed = bed.containerd.directory().join("fixed");
    fs::write(&fixed, "do not change\r\n")?;
    fs::write(data.join("theirs"), "from the host\r\n")?;
    symlink("/etc/passwd", data.join("out"))?;
    symlink("../../../../../../../../etc/passwd", data.join("far"))?;
    let before = mounts(bed.containerd.directory())?;
    let volumes = [volume(&data, "/data", "rw"), volume(&fixed, "/etc/fixed", "ro")];
    let mut console = console(&bed, "volume", &volumes)?;
    assert_eq!(ask(&mut console, "cat /data/theirs")?, "from the host\r\n");
    assert_eq!(ask(&mut console, "write /data/ours from the rtos")?, "");
    assert_eq!(fs::read_to_string(data.join("ours"))?, "from the rtos");
    for link in ["/data/out", "/data/far"] {
        assert!(ask(&mut console, &format!("cat {link}"))?.contains(NO_ENTRY));
    }
    assert_eq!(ask(&mut console, "cat /etc/fixed")?, "do not change\r\n");
    assert!(ask(&mut console, "write /etc/fixed changed")?.contains(NOT_PERMITTED));
    assert_eq!(fs::read_to_string(&fixed)?, "do not change\r\n");
    // The root file system is mounted, as always, and nothing else.
    let during = mounts(bed.containerd.directory())?;
    let new: Vec<&String> = during.difference(&before).collect();
    assert!(matches!(&new[..], [only] if only.contains("/rootfs ")), "{new:#?}");
    exit(console)?;
    assert_eq!(mounts(bed.containerd.directory())?, before);
    bed.clean()
}

#[test]
fn what_the_host_prints_for_the_rtos_is_complete() -> Result<()> {
    // More than calls may wait, and than a ring holds; and the last one just before the end.
    const TIMES: usize = 60;
    let bed = Testbed::new()?;
    let typed: String = (0..TIMES).map(|number| format!("printf <{number}>\n")).collect();
    let session = bed.session("prints", format!("{typed}exit 3\n").as_bytes())?;
    let printed = session.text();
    let numbers = printed.split_terminator(">\n").filter_map(|part| part.rsplit_once('<'));
    let numbers: Vec<&str> = numbers.map(|(_, number)| number).collect();
    let expected: Vec<String> = (0..TIMES).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected, "{printed}");
    bed.clean()
}

#[test]
fn calls_that_waited_for_a_file_system_are_carried_out() -> Result<()> {
    let (bed, data) = ground()?;
    let (hung, mut console) = hung(&bed, &data, "waits")?;
    let typed: String = (0..40).map(|number| format!("printf <{number}>\r")).collect();
    console.send(typed.as_bytes())?;
    // Eight calls wait, and then the ring does.
    console.expect("printf <7>", DEADLINE)?;
    bed.ctr.ok(&["version"])?;
    drop(hung);
    console.expect("<39>\n", DEADLINE)?;
    exit(console)?;
    bed.clean()
}

#[test]
fn a_container_ends_although_its_file_system_hangs() -> Result<()> {
    let (bed, data) = ground()?;
    let (_hung, mut console) = hung(&bed, &data, "hangs")?;
    console.send(b"cat /data/fixed\r")?;
    console.expect("cat /data/fixed\r\n", DEADLINE)?;
    let task = bed.task("hangs");
    task.kill("SIGKILL")?;
    console.wait(DEADLINE)?;
    task.gone()?;
    bed.clean()
}

#[test]
fn another_console_answers_while_files_are_read() -> Result<()> {
    let (bed, data) = ground()?;
    fs::write(data.join("long"), "line\r\n".repeat(1 << 18))?;
    let mut reader = console(&bed, "reads", &[volume(&data, "/data", "rw")])?;
    reader.send(b"cat /data/long\r")?;
    reader.expect("line\r\nline\r\n", DEADLINE)?;
    let mut other = bed.console("other")?;
    assert!(ask(&mut other, "uname")?.contains("micrun test RTOS"));
    exit(other)?;
    // Killed in the midst of its calls.
    let task = bed.task("reads");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    task.kill("SIGKILL")?;
    reader.wait(DEADLINE)?;
    task.gone()?;
    bed.clean()
}
