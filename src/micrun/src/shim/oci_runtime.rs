//! Which program runs a Linux container: crun, which is smaller and quicker, or runc, which takes every specification.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use firmware::checksum;
use nix::unistd::geteuid;
use serde::Deserialize;

use super::Failure;
use super::read::read;

/// How long crun may take to say what it can do: 5 ms on an idle machine.
const FEATURES_DEADLINE: Duration = Duration::from_secs(2);
/// More than it says: 8 KiB.
const FEATURES_LIMIT: usize = 1 << 20;
/// Our directory, made with the first alias.
const HOME: &str = "/run/micrun";
/// crun's record of a container; runc's is called `state.json`.
const CRUN_RECORD: &str = "status";

/// What the machine has.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub(super) crun: Option<PathBuf>,
    pub(super) runc: Option<PathBuf>,
}

/// What is to be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Crun(PathBuf),
    Runc {
        /// There is crun, but it is not fit.
        why_not_crun: Option<String>,
    },
}

/// Chooses for a container whose specification follows `version`.
pub(super) fn choose(installed: &Installed, version: &str) -> Result<Chosen, Failure> {
    let refusal = match &installed.crun {
        None => None,
        Some(crun) => match refusal(crun, version) {
            None => return Ok(Chosen::Crun(crun.clone())),
            refusal => refusal,
        },
    };
    match (&installed.runc, refusal) {
        (Some(_), why_not_crun) => Ok(Chosen::Runc { why_not_crun }),
        (None, None) => {
            Err("this is a linux image and neither crun nor runc is in PATH: install one".to_owned())
        }
        (None, Some(reason)) => {
            Err(format!("{reason}, and runc is not in PATH: install runc or a newer crun"))
        }
    }
}

/// True if the directory `record` of a container was written by crun.
pub(super) fn is_of_crun(record: &Path) -> bool {
    record.join(CRUN_RECORD).exists()
}

/// The directory in which `crun` goes by the name of runc.
pub(super) fn alias(crun: &Path) -> Result<PathBuf, Failure> {
    alias_in(Path::new(HOME), crun)
        .map_err(|error| format!("making {crun:?} known as runc below {HOME}: {error}"))
}

/// Why `crun` does not take specifications of `version`, if so.
fn refusal(crun: &Path, version: &str) -> Option<String> {
    let (least, most) = features(crun).unwrap_or_else(Features::of_an_old_crun).range();
    let fits = number(version).is_some_and(|number| number >= least && number <= most);
    let range = |(major, minor): Number| format!("{major}.{minor}");
    (!fits).then(|| {
        let (crun, least, most) = (crun.display(), range(least), range(most));
        format!("{crun} takes specifications of version {least} to {most}, this one is {version:?}")
    })
}

/// Major and minor; a patch release of the specification changes no meaning.
type Number = (u32, u32);

fn number(version: &str) -> Option<Number> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What an OCI runtime says of itself (`features`), as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: String,
    oci_version_max: String,
}

impl Features {
    /// crun up to 1.8 has no word for it. It refuses whatever is not 1.0.
    fn of_an_old_crun() -> Features {
        Features { oci_version_min: "1.0.0".to_owned(), oci_version_max: "1.0.2".to_owned() }
    }

    /// The versions from and to; none at all if they are no versions.
    fn range(&self) -> (Number, Number) {
        (
            number(&self.oci_version_min).unwrap_or((u32::MAX, 0)),
            number(&self.oci_version_max).unwrap_or_default(),
        )
    }
}

/// Asks the program; `None` if it does not know the question.
fn features(program: &Path) -> Option<Features> {
    let mut command = Command::new(program);
    command.arg("features").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let answer = File::from(std::os::fd::OwnedFd::from(child.stdout.take()?));
    let said = read(answer, FEATURES_LIMIT, FEATURES_DEADLINE);
    // It has ended, or never will.
    let _ = child.kill();
    let _ = child.wait();
    serde_json::from_slice(&said.ok().filter(|said| said.whole)?.bytes).ok()
}

/// Only we may write below `home`: what lies there is run as root. Each path of crun has a directory of its own, so that
/// nothing is ever changed that another `start` relies on.
fn alias_in(home: &Path, crun: &Path) -> io::Result<PathBuf> {
    let dir = home.join(checksum::sha256(crun.as_os_str().as_bytes()));
    make_private(home)?;
    make_private(&dir)?;
    match symlink(crun, dir.join("runc")) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(dir),
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result,
    }
    let found = dir.symlink_metadata()?;
    let private = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
    private.then_some(()).ok_or_else(|| io::Error::other(format!("{} is not ours alone", dir.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// A directory with a `crun` that answers `features` so, and fails at everything else.
    struct Machine(TempDir);

    impl Machine {
        fn with_crun(answer: &str) -> Machine {
            let dir = TempDir::new().expect("a directory");
            let crun = dir.path().join("crun");
            let script = format!("#!/bin/sh\n[ \"$*\" = features ] || exit 1\n{answer}\n");
            // By another process: a file that ours has open for writing, or a fork of ours, cannot be run.
            let mut write = Command::new("sh");
            write.args(["-c", "printf %s \"$1\" > \"$0\"; chmod +x \"$0\""]).arg(crun).arg(script);
            assert!(write.status().expect("sh runs").success());
            Machine(dir)
        }

        /// One that says which versions it takes.
        fn with_range(least: &str, most: &str) -> Machine {
            Machine::with_crun(&format!(
                "echo '{{\"ociVersionMin\":\"{least}\",\"ociVersionMax\":\"{most}\",\"hooks\":[\"poststop\"]}}'"
            ))
        }

        fn crun(&self) -> PathBuf {
            self.0.path().join("crun")
        }

        fn choose(&self, version: &str) -> Chosen {
            let runc = Some(PathBuf::from("/usr/sbin/runc"));
            choose(&Installed { crun: Some(self.crun()), runc }, version).expect("there is runc")
        }

        /// Why runc was taken; empty for crun.
        fn refusal(&self, version: &str) -> String {
            match self.choose(version) {
                Chosen::Crun(crun) => {
                    assert_eq!(crun, self.crun());
                    String::new()
                }
                Chosen::Runc { why_not_crun } => why_not_crun.expect("a reason"),
            }
        }
    }

    #[test]
    fn crun_is_preferred_for_what_it_says_it_takes() {
        let machine = Machine::with_range("1.0.0", "1.1.0+dev");
        for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.1.3"] {
            assert_eq!(machine.refusal(version), "", "{version}");
        }
        let reason =
            format!("{} takes specifications of version 1.0 to 1.1, this one is", machine.crun().display());
        for version in ["1.2.0", "2.0.0", "0.9.0", "", "one"] {
            assert_eq!(machine.refusal(version), format!("{reason} {version:?}"));
        }
    }

    #[test]
    fn a_crun_without_an_answer_takes_1_0_only() {
        let many = format!("head -c {} /dev/zero", FEATURES_LIMIT + 1);
        for answer in ["echo unknown command >&2; exit 1", "echo hello", "echo '{}'", &many] {
            let machine = Machine::with_crun(answer);
            assert_eq!(machine.refusal("1.0.2-dev"), "", "{answer}");
            assert!(machine.refusal("1.1.0").ends_with("1.0 to 1.0, this one is \"1.1.0\""), "{answer}");
        }
        assert!(Machine::with_range("a", "b").refusal("1.0.0").ends_with("this one is \"1.0.0\""));
    }

    #[test]
    fn a_crun_that_hangs_holds_nobody() {
        let machine = Machine::with_crun("exec sleep 1000");
        assert!(!machine.refusal("1.1.0").is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let runc_alone = Installed { runc: Some("/usr/sbin/runc".into()), ..Installed::default() };
        assert_eq!(choose(&runc_alone, "1.1.0"), Ok(Chosen::Runc { why_not_crun: None }));
        let nothing = choose(&Installed::default(), "1.0.0").expect_err("nothing");
        assert_eq!(nothing, "this is a linux image and neither crun nor runc is in PATH: install one");
        let machine = Machine::with_range("1.0.0", "1.0.2");
        let crun_alone = Installed { crun: Some(machine.crun()), runc: None };
        let too_old = choose(&crun_alone, "1.1.0").expect_err("too old");
        assert!(
            too_old.ends_with("this one is \"1.1.0\", and runc is not in PATH: install runc or a newer crun")
        );
    }

    #[test]
    fn the_alias_is_ours_alone() {
        let dir = TempDir::new().expect("a directory");
        let home = dir.path().join("micrun");
        for crun in ["/usr/bin/crun", "/usr/bin/crun", "/opt/crun"] {
            let alias = alias_in(&home, Path::new(crun)).expect("made");
            assert_eq!(std::fs::read_link(alias.join("runc")).expect("a link"), Path::new(crun));
        }
        assert_eq!(home.metadata().expect("there").mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&home).expect("readable").count(), 2);
        std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).expect("anybody's");
        let error = alias_in(&home, Path::new("/usr/bin/crun")).expect_err("not ours alone").to_string();
        assert!(error.ends_with("is not ours alone"), "{error}");
    }

    #[test]
    fn whose_a_record_is_shows_in_its_files() {
        let record = TempDir::new().expect("a directory");
        std::fs::write(record.path().join("state.json"), "{}").expect("written");
        assert!(!is_of_crun(record.path()));
        std::fs::write(record.path().join("status"), "{}").expect("written");
        assert!(is_of_crun(record.path()));
        assert!(!is_of_crun(&record.path().join("missing")));
    }
}
