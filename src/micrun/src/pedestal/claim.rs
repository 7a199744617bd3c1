//! One owner per core among all processes: a locked file of the core's name in `/run/micrun`.
//!
//! The lock goes with its process, however that ends. What the file says stays: the last owner in the first line. If the
//! second is not empty the core was left in use: it is what its pedestal has to know to end it, and the third line says who
//! left it. The directory is gone after a boot, as is whatever ran on the cores.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Where the files are.
pub(super) const DIR: &str = "/run/micrun";
/// A process that was killed is gone this soon.
const DYING: Duration = Duration::from_secs(1);
/// How often it is looked whether it is.
const DYING_LOOK: Duration = Duration::from_millis(2);
/// More than a file has.
const LIMIT: usize = 4096;

/// Why a core cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A living process has it.
    #[error("{core} is taken by {owner}")]
    Taken {
        /// The core.
        core: String,
        /// Whose it is.
        owner: String,
    },
    /// The file cannot be had.
    #[error("{path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to use one core; let go of by dropping it.
#[derive(Debug)]
pub struct Claim {
    file: Flock<File>,
    path: PathBuf,
    owner: String,
    before: Option<Left>,
}

/// A core that was left in use.
#[derive(Debug)]
struct Left {
    note: String,
    by: String,
}

impl Claim {
    /// Claims `core`, a word of letters, digits, `-`, `_` and `.`, for `owner`, a container's name.
    pub fn take(core: &str, owner: &str) -> Result<Claim, ClaimError> {
        Claim::take_in(Path::new(DIR), core, owner)
    }

    /// Claims `core` for whoever cleans up after `owner`; `None` if the core is not as he left it any more.
    pub fn take_left(core: &str, owner: &str) -> Result<Option<Claim>, ClaimError> {
        let begun = Instant::now();
        loop {
            match Claim::take(core, owner) {
                // A process that was killed lets go of its files one by one, and in its own time.
                Err(ClaimError::Taken { owner: taker, .. }) if taker == owner && begun.elapsed() < DYING => {
                    thread::sleep(DYING_LOOK);
                }
                Err(ClaimError::Taken { .. }) => return Ok(None),
                Err(error) => return Err(error),
                Ok(claim) => return Ok(Some(claim).filter(|claim| claim.left_by() == Some(owner))),
            }
        }
    }

    fn left_by(&self) -> Option<&str> {
        Some(&self.before.as_ref()?.by)
    }

    pub(super) fn take_in(dir: &Path, core: &str, owner: &str) -> Result<Claim, ClaimError> {
        let path = dir.join(file_name(core));
        let failed = |source| ClaimError::File { path: path.display().to_string(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // Never a link, nor something that opening would wait for.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path).map_err(failed)?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                let owner = lines(&file).map(|[owner, ..]| owner).unwrap_or_default();
                return Err(ClaimError::Taken { core: core.to_owned(), owner });
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        let [_, note, by] = lines(&file).map_err(failed)?;
        let before = Some(Left { note, by }).filter(|left| !left.note.is_empty());
        let claim = Claim { file, path: path.clone(), owner: one_line(owner), before };
        let (note, by) = claim.before.as_ref().map_or(("", ""), |left| (&left.note, &left.by));
        claim.write(note, by).map_err(failed)?;
        Ok(claim)
    }

    /// Who left the core in use, and what he noted of it, if it is of this kind.
    pub fn left<T: DeserializeOwned>(&self) -> Option<(&str, Option<T>)> {
        let Left { note, by } = self.before.as_ref()?;
        Some((by, serde_json::from_str(note).ok()))
    }

    /// Notes what has to be known to end what is about to run on the core, if this process cannot.
    pub fn note(&mut self, note: &impl Serialize) -> Result<(), ClaimError> {
        let noted = serde_json::to_string(note)
            .map_err(io::Error::from)
            .and_then(|note| self.write(&note, &self.owner));
        self.before = None;
        noted.map_err(|source| ClaimError::File { path: self.path.display().to_string(), source })
    }

    /// The core is in order again, and anybody's.
    pub fn release(self) {
        if let Err(error) = self.file.set_len(0) {
            log::error!("{}: {error}", self.path.display());
        }
    }

    /// One write, over a file that is cut off behind it: whoever reads meanwhile only wants the name.
    fn write(&self, note: &str, by: &str) -> io::Result<()> {
        let text = format!("{}\n{note}\n{by}\n", self.owner);
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// The name of a core as that of a file.
fn file_name(core: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = core.chars().map(|c| if fits(c) { c } else { '_' }).take(128).collect();
    format!("core-{name}")
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(256).collect()
}

/// The three lines; what is missing is empty.
fn lines(file: &File) -> io::Result<[String; 3]> {
    let mut bytes = vec![0; LIMIT];
    let len = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes[..len]);
    let mut lines = text.lines().map(str::to_owned);
    Ok([(); 3].map(|()| lines.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Note {
        table: u64,
    }

    fn take(dir: &Path, owner: &str) -> Result<Claim, String> {
        Claim::take_in(dir, "mcs-3", owner).map_err(|error| error.to_string())
    }

    #[test]
    fn a_core_has_one_owner_and_the_error_names_him() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = take(dir.path(), "default/a").expect("free");
        assert_eq!(take(dir.path(), "default/b").expect_err("taken"), "mcs-3 is taken by default/a");
        Claim::take_in(dir.path(), "mcs-2", "default/b").expect("another core is free");
        first.release();
        take(dir.path(), "default/b").expect("free again");
    }

    #[test]
    fn what_a_dead_owner_left_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut first = take(dir.path(), "default/a").expect("free");
        assert!(first.left::<Note>().is_none());
        first.note(&Note { table: 7 }).expect("noted");
        drop(first);
        let mut second = take(dir.path(), "default/b").expect("free");
        assert_eq!(second.left(), Some(("default/a", Some(Note { table: 7 }))));
        // Only a note of his own makes it his.
        assert_eq!(take(dir.path(), "default/x").expect_err("taken"), "mcs-3 is taken by default/b");
        drop(second);
        second = take(dir.path(), "default/b").expect("free");
        second.note(&Note { table: 8 }).expect("noted");
        drop(second);
        let third = take(dir.path(), "default/c").expect("free");
        assert_eq!(third.left(), Some(("default/b", Some(Note { table: 8 }))));
        third.release();
        assert!(take(dir.path(), "default/d").expect("free").left::<Note>().is_none());
    }

    #[test]
    fn names_stay_in_the_directory_and_on_their_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let _claim = Claim::take_in(dir.path(), "../../x/y", "a\nb").expect("free");
        assert!(dir.path().join("core-.._.._x_y").exists());
        let error = Claim::take_in(dir.path(), "../../x/y", "c").expect_err("taken").to_string();
        assert_eq!(error, "../../x/y is taken by ab");
    }
}
