//! Ends an instance whose owner died without ending it: Ctrl-C on a test run, SIGKILL, an abort.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Waits for the owner's last word, which comes when all is well; the end of the input without a word means that the
/// owner is gone. `$1` is containerd's pid, `$2` the instance's directory. Up to 10 s for an orderly end, then what
/// is left of the instance is taken away. Only a killed shim's socket stays; nobody will use its name again.
const SCRIPT: &str = r#"
read -r word && exit 0
kill "$1"
tries=0
while kill -0 "$1" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
for file in $(grep -lsF "$2" /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
    pid=${file#/proc/}
    pid=${pid%/*}
    [ "$pid" = $$ ] || kill -KILL "$pid"
done
awk -v below="$2/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
rm -rf --one-file-system "$2"
"#;

/// The guard of one instance: a shell in a session of its own.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    pub(super) fn set(containerd: u32, directory: &Path) -> Result<Self> {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", SCRIPT, "guard", &containerd.to_string()]).arg(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("cannot start setsid")?))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Says the last word: the owner takes care of the instance itself, or leaves it to a person.
    pub(super) fn dismiss(&mut self) -> Result<()> {
        if let Some(mut input) = self.0.stdin.take() {
            input.write_all(b"done\n")?;
        }
        self.0.wait()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::wait;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn sleeper(instance: &Path) -> Child {
        Command::new("sleep").arg("600").env("INSTANCE", instance).spawn().unwrap()
    }

    fn end(mut sleeper: Child) {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }

    #[test]
    fn an_owner_s_death_ends_the_instance_and_nothing_else() {
        let (instance, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut daemon, mut shim) = (sleeper(other.path()), sleeper(instance.path()));
        let mut neighbour = sleeper(other.path());
        let mut guard = Guard::set(daemon.id(), instance.path()).unwrap();
        // What the kernel does when the owner is killed.
        drop(guard.0.stdin.take());
        assert!(!wait(&mut daemon, "containerd", DEADLINE).unwrap().success());
        assert!(!wait(&mut shim, "the shim", DEADLINE).unwrap().success());
        wait(&mut guard.0, "the guard", DEADLINE).unwrap();
        assert!(!instance.path().exists());
        assert!(neighbour.try_wait().unwrap().is_none() && other.path().exists());
        end(neighbour);
    }

    #[test]
    fn a_dismissed_guard_touches_nothing() {
        let instance = tempfile::tempdir().unwrap();
        let mut daemon = sleeper(instance.path());
        Guard::set(daemon.id(), instance.path()).unwrap().dismiss().unwrap();
        assert!(daemon.try_wait().unwrap().is_none() && instance.path().exists());
        end(daemon);
    }
}
