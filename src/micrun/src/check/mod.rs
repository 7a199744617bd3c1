//! `micrun check`: what a machine lacks for each pedestal, one line each with the remedy.

mod host;
mod needs;

use std::env;
use std::fmt::Write;
use std::path::PathBuf;

use firmware::board::{Board, Pedestal};
use host::Host;

/// Path of the emulator, instead of the one that `PATH` finds.
const QEMU_VARIABLE: &str = "MICRUN_QEMU";

/// How it is asked.
pub const USAGE: &str = "
Usage: micrun check [--board NAME] [--root DIRECTORY] [PEDESTAL]

Says what this machine lacks for a pedestal, or for each: qemu, mcs, remoteproc, micad. Exit status 0: the pedestal, or one
at least, can be used.
  --board NAME        the board; without it the one that this machine is recognised as
  --root DIRECTORY    look at the file system that begins there
";

const PEDESTALS: [(&str, Pedestal); 4] = [
    ("qemu", Pedestal::Qemu),
    ("mcs", Pedestal::Mcs),
    ("remoteproc", Pedestal::Remoteproc),
    ("micad", Pedestal::Micad),
];

/// Something that a pedestal needs and the machine does not have.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    what: String,
    remedy: String,
}

/// Answers `micrun check` and these words, and says whether the answer is yes.
///
/// # Errors
/// The words are wrong, or no board is known.
pub fn check(words: &[&str]) -> Result<(String, bool), String> {
    let (mut board, mut root, mut asked) = (None, "/", None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("option {word} needs a value"));
        match *word {
            "--board" => board = Some(value()?),
            "--root" => root = value()?,
            word if asked.is_none() => asked = Some(pedestal(word)?),
            word => return Err(format!("{word:?} is one word too many")),
        }
    }
    let emulator = env::var_os(QEMU_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let host = Host::new(PathBuf::from(root), env::var("PATH").unwrap_or_default(), emulator);
    let board = board.map_or_else(|| Board::detect(host.root()), |name| Board::installed(host.root(), name));
    Ok(report(&host, &board.map_err(|error| error.to_string())?, asked))
}

fn pedestal(word: &str) -> Result<Pedestal, String> {
    let known = PEDESTALS.iter().find(|(name, _)| *name == word);
    known.map(|(_, pedestal)| *pedestal).ok_or_else(|| {
        let names = PEDESTALS.map(|(name, _)| name).join(", ");
        format!("pedestal {word:?} is unknown, there are: {names}")
    })
}

/// One line per pedestal that can be used, and one per thing that another lacks.
fn report(host: &Host, board: &Board, asked: Option<Pedestal>) -> (String, bool) {
    let mut text = format!("board       {}: {}\n", board.name, board.title);
    let mut usable = false;
    for (name, pedestal) in
        PEDESTALS.iter().filter(|(_, pedestal)| asked.is_none_or(|asked| asked == *pedestal))
    {
        let missing = needs::missing(host, board, *pedestal);
        usable |= missing.is_empty();
        if missing.is_empty() {
            text += &format!("{name:<12}can be used\n");
        }
        for Missing { what, remedy } in missing {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<12}lacks {what}: {remedy}");
        }
    }
    (text, usable)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    /// A root directory with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    const PI: [(&str, &str); 5] = [
        ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0"),
        ("proc/sys/kernel/osrelease", "6.6.1\n"),
        ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n"),
        (
            "boot/config-6.6.1",
            "CONFIG_HOTPLUG_CPU=y\nCONFIG_REMOTEPROC=y\nCONFIG_RPMSG_VIRTIO=m\nCONFIG_RPMSG_CHAR=m\n",
        ),
        ("sys/devices/system/cpu/cpu3/online", "1\n"),
    ];

    fn lines(root: &Path, words: &[&str]) -> (Vec<String>, bool) {
        let root = root.to_str().expect("utf-8");
        let (text, usable) = check(&[&["--root", root], words].concat()).expect("an answer");
        (text.lines().skip(1).map(str::to_owned).collect(), usable)
    }

    #[test]
    fn a_bare_board_lacks_what_gives_the_core_away() {
        let (lines, usable) = lines(root(&PI).path(), &["mcs"]);
        assert!(!usable);
        let remedy = "apply the overlay rpi4-mcs.dtso: copy the compiled overlay to overlays/ on the boot partition and \
                      add dtoverlay=NAME to config.txt";
        assert_eq!(
            lines,
            [
                format!("mcs         lacks reserved memory at 0x70000000: {remedy}"),
                format!("mcs         lacks reserved memory at 0x7a000000: {remedy}"),
                format!("mcs         lacks the device tree's node oe,mcs_remoteproc: {remedy}"),
                "mcs         lacks /dev/mcs: load the kernel module mcs_km (modprobe mcs_km)".to_owned(),
            ]
        );
    }

    #[test]
    fn a_board_that_has_all_can_be_used() {
        let with = [
            ("proc/device-tree/reserved-memory/rtos-shared@70000000/reg", ""),
            ("proc/device-tree/reserved-memory/rtos-memory@7a000000/reg", ""),
            ("proc/device-tree/mcs-remoteproc/compatible", "oe,mcs_remoteproc\0"),
            ("dev/mcs", ""),
            ("sys/class/remoteproc/remoteproc0/state", "offline\n"),
        ];
        let root = root(&[&PI[..], &with].concat());
        let (mcs, usable) = lines(root.path(), &["mcs"]);
        assert_eq!((mcs, usable), (vec!["mcs         can be used".to_owned()], true));
        let (remoteproc, usable) = lines(root.path(), &["remoteproc"]);
        assert_eq!((remoteproc, usable), (vec!["remoteproc  can be used".to_owned()], true));
        fs::remove_file(root.path().join("sys/devices/system/cpu/cpu3/online")).expect("removed");
        fs::write(root.path().join("proc/self/status"), "CapEff:\t0000000000000000\n").expect("written");
        let (mcs, _) = lines(root.path(), &["mcs"]);
        assert_eq!(mcs.len(), 2, "{mcs:?}");
        assert!(mcs[0].starts_with("mcs         lacks a core that can be taken offline: "), "{mcs:?}");
        assert!(mcs[1].starts_with("mcs         lacks the right CAP_SYS_RAWIO: "), "{mcs:?}");
    }

    #[test]
    fn options_that_the_kernel_lacks_are_named() {
        let root = root(&PI);
        let (lines, _) = lines(root.path(), &["remoteproc"]);
        let options: Vec<&String> = lines.iter().filter(|line| line.contains("CONFIG_")).collect();
        assert!(options.is_empty(), "{options:?}");
        fs::write(root.path().join("boot/config-6.6.1"), "# CONFIG_REMOTEPROC is not set\n")
            .expect("written");
        let (text, _) =
            check(&["--root", root.path().to_str().expect("utf-8"), "remoteproc"]).expect("an answer");
        for option in ["HOTPLUG_CPU", "REMOTEPROC", "RPMSG_VIRTIO"] {
            let line = format!("remoteproc  lacks kernel option CONFIG_{option}: build the kernel with it");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn micad_and_qemu_are_looked_for_where_they_run() {
        let root = root(&PI);
        let (micad, _) = lines(root.path(), &["micad"]);
        let remedy = "start openEuler's daemon (systemctl start micad)";
        assert_eq!(micad, [format!("micad       lacks /run/mica/mica-create.socket: {remedy}")]);
        fs::create_dir_all(root.path().join("run/mica")).expect("made");
        let _socket = UnixListener::bind(root.path().join("run/mica/mica-create.socket")).expect("bound");
        assert!(lines(root.path(), &["micad"]).1);
        let host = |version: &str| {
            let bin = root.path().join("bin");
            fs::create_dir_all(&bin).expect("made");
            let program = bin.join("qemu-system-aarch64");
            fs::write(&program, format!("#!/bin/sh\necho 'QEMU emulator version {version}'\n"))
                .expect("written");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
            Host::new(root.path().to_owned(), "/bin".to_owned(), None)
        };
        let board = Board::by_name("rpi4").expect("built in");
        assert!(report(&host("10.0.2"), &board, Some(Pedestal::Qemu)).1);
        let (text, usable) = report(&host("7.2.22 (Debian)"), &board, Some(Pedestal::Qemu));
        assert!(
            !usable && text.contains("qemu        lacks QEMU 9 or newer for machine raspi4b (this is 7.2): "),
            "{text}"
        );
        let board = Board::by_name("qemu-arm64").expect("built in");
        assert!(report(&host("7.2.22"), &board, Some(Pedestal::Qemu)).1);
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        assert_eq!(
            check(&["xen"]).unwrap_err(),
            "pedestal \"xen\" is unknown, there are: qemu, mcs, remoteproc, micad"
        );
        assert_eq!(check(&["--board"]).unwrap_err(), "option --board needs a value");
        assert_eq!(check(&["qemu", "mcs"]).unwrap_err(), "\"mcs\" is one word too many");
        assert!(check(&["--board", "rpi5"]).unwrap_err().starts_with("board \"rpi5\" is unknown"));
    }

    #[test]
    fn this_machine_has_an_answer() {
        let (text, _) = check(&["--board", "qemu-arm64"]).expect("an answer");
        assert!(text.lines().count() >= 5, "{text}");
    }
}
