//! What can't be run is refused with one clear line, which reaches the person at `ctr`, and leaves nothing behind.
//!
//! The images are made by hand: micrun's own builder refuses to pack them. Each test has a containerd of its own.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use firmware::layout::{CLIENT_CONF, FIRMWARE};
use firmware::test_elf::{TestElf, minimal_table};
use qemu_tests::{Artifacts, DEADLINE, Image, Options, Testbed, wait_for};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// Name of the image that is refused.
const WRONG: &str = "localhost/wrong:1";
/// What `ctr` puts before the shim's words when Create fails.
const CREATE: &str = "ctr: failed to create shim task: ";
const INVALID: &str = ": invalid argument\n";
const PAGE: usize = 4096;

/// A file of the image.
enum Entry<'e> {
    File(&'e str, &'e [u8]),
    Link(&'e str, &'e str),
    Fifo(&'e str),
}

/// Imports an image with these files as [`WRONG`].
fn import(bed: &Testbed, entries: &[Entry<'_>]) -> Result<()> {
    let mut image = Image::new(WRONG, FIRMWARE);
    for entry in entries {
        match *entry {
            Entry::File(path, content) => image.file(path.trim_start_matches('/'), content)?,
            Entry::Link(path, target) => image.link(path.trim_start_matches('/'), target)?,
            Entry::Fifo(path) => image.fifo(path.trim_start_matches('/'))?,
        }
    }
    let directory = TempDir::new()?;
    let archive = directory.path().join("image.tar");
    image.write(&archive)?;
    bed.ctr.import(&archive)
}

/// Runs an image with these files; gives what `ctr` complains of. Nothing is left, and hello still runs.
fn refusal(bed: &Testbed, entries: &[Entry<'_>]) -> Result<String> {
    import(bed, entries)?;
    let refused = bed.run(&["--rm"], WRONG, "wrong")?;
    assert!(!refused.status.success());
    assert_eq!(bed.task("wrong").status()?, None);
    bed.clean()?;
    Ok(refused.complaint().into_owned())
}

/// The same for an image with nothing but this firmware.
fn refused_firmware(bed: &Testbed, file: &[u8]) -> Result<String> {
    refusal(bed, &[Entry::File(FIRMWARE, file)])
}

/// The same for an image with good firmware and this `client.conf`.
fn refused_conf(bed: &Testbed, lines: &str) -> Result<String> {
    let conf = format!("[Mica]\nName=wrong\nClientPath={FIRMWARE}\n{lines}\n");
    let elf = TestElf::new().build();
    refusal(bed, &[Entry::File(FIRMWARE, &elf), Entry::File(CLIENT_CONF, conf.as_bytes())])
}

/// The whole line for firmware that is refused for `reason`.
fn line(reason: &str) -> String {
    format!("{CREATE}firmware {FIRMWARE:?}: {reason}{INVALID}")
}

#[test]
fn what_is_no_firmware_file_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let refused = |file: &[u8]| refused_firmware(&bed, file);
    assert_eq!(
        refused(b"#!/bin/sh\n")?,
        line("not an elf file: it starts with [23, 21, 2f, 62], an elf file with [7f, 45, 4c, 46]")
    );
    assert_eq!(refused(b"")?, line("not an elf file: it starts with [], an elf file with [7f, 45, 4c, 46]"));
    let whole = TestElf::new().build();
    assert_eq!(
        refused(&whole[..40])?,
        line("elf file is truncated: file header takes 64 bytes from byte 0, the file has 40")
    );
    assert_eq!(
        refused(&whole[..180])?,
        line("elf file is truncated: segment 1 takes 88 bytes from byte 184, the file has 180")
    );
    assert_eq!(
        refused(&TestElf::new().machine(62).build())?,
        line("elf header: machine is 62 (x86-64), it must be 183 (aarch64)")
    );
    Ok(())
}

#[test]
fn firmware_that_nobody_could_talk_to_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let refused = |elf: TestElf| refused_firmware(&bed, &elf.build());
    assert_eq!(
        refused(TestElf::new().without_table())?,
        line("elf file has no section .resource_table of type progbits")
    );
    // Word 1 is the number of entries, word 13 the first ring's alignment, word 14 its length.
    let absurd = |word: usize, value: u32| {
        let mut table = minimal_table();
        table[word * 4..][..4].copy_from_slice(&value.to_le_bytes());
        TestElf::new().resource_table(&table)
    };
    let of_table = |reason: &str| line(&format!("resource table: {reason}"));
    let entries = "entry count is 0xffffffff, at most 32 are allowed";
    assert_eq!(refused(absurd(1, u32::MAX))?, of_table(entries));
    assert_eq!(
        refused(absurd(13, 3))?,
        of_table("vring alignment is 0x3, it must be a power of two from 4 to 4096")
    );
    assert_eq!(
        refused(absurd(14, 32_768))?,
        of_table("vring size is 0x8000, it must be a power of two up to 256")
    );
    assert_eq!(
        refused(absurd(14, 256))?,
        line("vrings and buffers need 0x22af0 bytes, the shared window has 0x20000")
    );
    assert_eq!(
        refused(TestElf::new().resource_table(&minimal_table()[..40]))?,
        of_table("vdev entry at offset 0x2c does not fit the table of 0x28 bytes")
    );
    Ok(())
}

#[test]
fn firmware_for_other_memory_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let refused = |addr: u64| refused_firmware(&bed, &TestElf::new().segment(addr, &[0; 8]).build());
    assert_eq!(
        refused(0x4000_0000)?,
        line(
            "segment 2 (0x40000000..0x40000008) overlaps the agent memory (0x40000000..0x40400000) of board qemu-arm64"
        )
    );
    assert_eq!(
        refused(0x7006_0000)?,
        line(
            "segment 2 (0x70060000..0x70060008) overlaps the communication memory (0x70000000..0x70100000) of board qemu-arm64"
        )
    );
    assert_eq!(
        refused(0x7e00_0000)?,
        line(
            "segment 2 (0x7e000000..0x7e000008) lies outside the rtos memory (0x7a000000..0x7e000000) of board qemu-arm64"
        )
    );
    assert_eq!(
        refused(u64::MAX - 7)?,
        line("segment 2 has 0x8 bytes from 0xfffffffffffffff8 on, beyond the highest address")
    );
    Ok(())
}

#[test]
fn an_image_without_a_plain_firmware_file_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let of_image = |path: &str, reason: &str| format!("{CREATE}the image's {path:?}: {reason}{INVALID}");
    let missing = of_image(FIRMWARE, "No such file or directory (os error 2)");
    assert_eq!(refusal(&bed, &[Entry::File("/readme", b"")])?, missing);
    let no_file = of_image(FIRMWARE, "it is not a regular file");
    assert_eq!(refusal(&bed, &[Entry::Fifo(FIRMWARE)])?, no_file);
    // Out of the image and into the machine's own files, where there is firmware.
    let elf = Artifacts::from_env().rtos();
    let (absolute, climbing) =
        (elf.to_string_lossy(), format!("../../../../../../../../..{}", elf.display()));
    for target in [&*absolute, &climbing] {
        assert_eq!(refusal(&bed, &[Entry::Link(FIRMWARE, target)])?, missing, "{target}");
    }
    let conf = format!("[Mica]\nName=wrong\nClientPath={climbing}\n");
    assert_eq!(
        refusal(&bed, &[Entry::File(CLIENT_CONF, conf.as_bytes())])?,
        of_image(&climbing, "No such file or directory (os error 2)")
    );
    Ok(())
}

#[test]
fn a_wrong_client_conf_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let of_conf = |reason: &str| format!("{CREATE}the image's {CLIENT_CONF:?}: {reason}{INVALID}");
    assert_eq!(
        refused_conf(&bed, "nonsense")?,
        of_conf("line 4: \"nonsense\" is not of the form key = value")
    );
    let no_cpu = "CPU is \"one\", it must be the number of one cpu";
    assert_eq!(
        refused_conf(&bed, "CPU=one")?,
        format!("{CREATE}the image's {CLIENT_CONF}: {no_cpu}{INVALID}")
    );
    for cpu in [0, 9] {
        let reason =
            format!("cpu {cpu} is not for firmware on board qemu-arm64, which runs it on cpu 1 to 3");
        assert_eq!(refused_conf(&bed, &format!("CPU={cpu}"))?, line(&reason));
    }
    let missing = format!("{CREATE}the image's \"/x.cell\": No such file or directory (os error 2){INVALID}");
    assert_eq!(refused_conf(&bed, "Pedestal=jailhouse\nPedestalConf=/x.cell")?, missing);
    Ok(())
}

#[test]
fn a_pedestal_that_the_image_is_not_for_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let xen = ["--rm", "--annotation", "org.openeuler.micrun.ped.pedestal=xen"];
    let refused = bed.run(&xen, Artifacts::HELLO, "xen")?;
    assert_eq!(refused.complaint(), line("micad's xen needs the file that PedestalConf names"));
    bed.clean()
}

#[test]
fn an_unknown_scheme_of_a_stream_is_refused() -> Result<()> {
    let bed = Testbed::new()?;
    let refused = bed.run(&["-d", "--log-uri", "syslog:///x"], Artifacts::HELLO, "log")?;
    let sentence =
        "stdout \"syslog:///x\": the scheme must be fifo, file, binary or binary-v2: not implemented\n";
    assert_eq!(refused.complaint(), format!("{CREATE}{sentence}"));
    bed.task("log").remove_container()?;
    bed.clean()
}

/// Runs hello with `emulator` as QEMU, which fails at Start; gives what `ctr` complains of.
fn refused_start(emulator: &Path) -> Result<String> {
    let options = Options::with(&Artifacts::from_env()).env("MICRUN_QEMU", emulator);
    let bed = Testbed::with(&options)?;
    let refused = bed.run(&["-d"], Artifacts::HELLO, "dead")?;
    assert!(!refused.status.success());
    let task = bed.task("dead");
    assert_eq!(task.status()?.as_deref(), Some("STOPPED"));
    assert_eq!(task.delete()?, 255);
    task.remove_container()?;
    bed.clean()?;
    Ok(refused.complaint().into_owned())
}

#[test]
fn an_emulator_that_hangs_is_killed_with_its_container() -> Result<()> {
    let directory = TempDir::new()?;
    let program = directory.path().join("qemu");
    let begun = directory.path().join("begun");
    fs::write(&program, format!("#!/bin/sh\n: > {}\nexec sleep 1000\n", begun.display()))?;
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    let bed = Testbed::with(&Options::with(&Artifacts::from_env()).env("MICRUN_QEMU", &program))?;
    let words = bed.run_words(&["-d"], Artifacts::HELLO, "hangs");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut client = bed.ctr.pty(&words)?;
    let task = bed.task("hangs");
    wait_for("the emulator", DEADLINE, || begun.exists().then_some(()))?;
    task.kill("SIGKILL")?;
    client.expect("firmware does not start: killed while it was being started", DEADLINE)?;
    assert!(!client.wait(DEADLINE)?.success());
    assert_eq!(task.delete()?, 137);
    task.remove_container()?;
    bed.clean()
}

#[test]
fn a_missing_emulator_is_named() -> Result<()> {
    let sentence = "ctr: firmware does not start: cannot run /nonexistent/qemu: No such file or directory (os error 2): unavailable\n";
    assert_eq!(refused_start(Path::new("/nonexistent/qemu"))?, sentence);
    Ok(())
}

#[test]
fn an_emulator_that_fails_is_quoted() -> Result<()> {
    let directory = TempDir::new()?;
    let program = directory.path().join("qemu");
    fs::write(&program, "#!/bin/sh\necho first >&2\necho qemu: no such machine >&2\nexit 1\n")?;
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    let sentence = format!(
        "ctr: firmware does not start: {} ended before the core was up: qemu: no such machine: unavailable\n",
        program.display()
    );
    assert_eq!(refused_start(&program)?, sentence);
    Ok(())
}

/// A small disk under the bundles of all containers, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// Room for so many pages.
    fn with_pages(bed: &Testbed, pages: usize) -> Result<Self> {
        let point = bed.containerd.directory().join("state/io.containerd.runtime.v2.task");
        let size = CString::new(format!("size={}", pages * PAGE))?;
        mount("tmpfs", &point, "tmpfs", MountFlags::empty(), size.as_c_str())
            .with_context(|| point.display().to_string())?;
        Ok(Self(point))
    }

    /// How many bundles lie on it.
    fn bundles(&self) -> Result<usize> {
        let namespaces = fs::read_dir(&self.0)?.flatten();
        Ok(namespaces.flat_map(|namespace| fs::read_dir(namespace.path())).map(Iterator::count).sum())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).expect("the disk was mounted");
    }
}

#[test]
fn a_disk_that_is_full_at_any_step_leaves_nothing() -> Result<()> {
    let bed = Testbed::new()?;
    let mut complaints = Vec::new();
    // One more page in each round lets the next file be written, until there is room for all.
    loop {
        let disk = Disk::with_pages(&bed, complaints.len() + 1)?;
        let ran = bed.session("full", b"exit 7\n")?;
        assert_eq!(disk.bundles()?, 0);
        drop(disk);
        if ran.status.code() == Some(7) {
            break;
        }
        let complaint = ran.complaint().into_owned();
        // containerd quotes all that `start` prints, its line end included, and goes on in a line of its own.
        let said = complaint.strip_suffix("\n: exit status 1: unknown\n").unwrap_or(&complaint);
        assert_eq!(said.lines().count(), 1, "{complaint}");
        assert!(said.to_lowercase().contains("no space left on device"), "{complaint}");
        // When containerd itself can't write this file it forgets the shim that it has just started. The next round
        // finds that shim and uses it.
        if !complaint.contains("/shim-binary-path: ") {
            bed.clean().with_context(|| complaint.clone())?;
        }
        complaints.push(complaint);
    }
    // Among the steps are our own: the server's address, the state record at Create, the state record at Start.
    let start =
        "ctr: failed to start shim: start failed: containerd-shim-mica-v2: file address in the bundle: ";
    for beginning in [start, &format!("{CREATE}state record "), "ctr: state record "] {
        assert!(complaints.iter().any(|complaint| complaint.starts_with(beginning)), "{complaints:#?}");
    }
    bed.clean()
}
