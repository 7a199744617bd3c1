//! The command line, in Go's style: one dash or two, value after a space or `=`, the action last.

use log::LevelFilter;

use super::Failure;

/// How the binary is to be called, for a person who asks.
pub(super) const USAGE: &str = "\
Usage: containerd-shim-mica-v2 -namespace NAME -address SOCKET -id ID [-publish-binary PATH] [-debug] start
       containerd-shim-mica-v2 -namespace NAME -address SOCKET -id ID [-bundle DIRECTORY] delete
       containerd-shim-mica-v2 -info | -v | -h

containerd calls this program, in the bundle's directory. Use it by the runtime's name:
  ctr run --runtime io.containerd.mica.v2 IMAGE ID
";

/// By which `start` tells the server what to log.
pub(super) const LEVEL_FLAG: &str = "log-level";

/// What the binary is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make a server, or find the group's, and print its address.
    Start,
    /// Be the server. `start` calls the binary so.
    Serve,
    /// Clean up after a container whose server is gone.
    Delete,
    /// Say what this is, to a person.
    Version,
    /// Say what this is, to containerd.
    Info,
    /// Say how it is called.
    Help,
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) action: Action,
    pub(super) namespace: String,
    pub(super) id: String,
    /// containerd's main socket; part of the group's address.
    pub(super) address: String,
    /// Bundle, for `delete`; otherwise the working directory is it.
    pub(super) bundle: String,
    /// containerd's own program. Its directory is the last place where other shims are looked for.
    pub(super) publish_binary: String,
    pub(super) level: LevelFilter,
}

impl Args {
    pub(super) fn parse(words: impl Iterator<Item = String>) -> Result<Args, Failure> {
        let mut args = Args {
            action: Action::Serve,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: String::new(),
            publish_binary: String::new(),
            level: LevelFilter::Info,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else {
                args.action = action(&word)?;
                break;
            };
            args.flag(flag, &mut words)?;
            if args.action != Action::Serve {
                return Ok(args);
            }
        }
        args.check()
    }

    fn flag(&mut self, flag: &str, words: &mut impl Iterator<Item = String>) -> Result<(), Failure> {
        let (name, inline) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        if self.switch(name, inline.is_none_or(|value| value == "true")) {
            return Ok(());
        }
        let value = inline.map(str::to_owned).or_else(|| words.next());
        self.set(name, value.ok_or_else(|| format!("flag -{name} needs a value"))?)
    }

    /// Takes a flag that is on or off; false if `name` is none.
    fn switch(&mut self, name: &str, on: bool) -> bool {
        let action = match name {
            "v" | "version" => Action::Version,
            "info" => Action::Info,
            "h" | "help" => Action::Help,
            "debug" if on => {
                self.level = self.level.max(LevelFilter::Debug);
                return true;
            }
            "debug" => return true,
            _ => return false,
        };
        if on {
            self.action = action;
        }
        true
    }

    /// Takes a flag with a value.
    fn set(&mut self, name: &str, value: String) -> Result<(), Failure> {
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "bundle" => self.bundle = value,
            "publish-binary" => self.publish_binary = value,
            LEVEL_FLAG => {
                self.level = value.parse().map_err(|_| format!("flag -{name} is {value:?}, no level"))?;
            }
            // It is inherited.
            "socket" => {}
            _ => return Err(format!("flag -{name} is not known")),
        }
        Ok(())
    }

    /// Namespace and id become parts of paths and messages.
    fn check(self) -> Result<Args, Failure> {
        for (flag, value) in [("namespace", &self.namespace), ("id", &self.id)] {
            if value.is_empty() || value.contains('/') || value.starts_with('.') {
                return Err(format!("flag -{flag} is {value:?}, it must be a plain name"));
            }
        }
        Ok(self)
    }
}

fn action(word: &str) -> Result<Action, Failure> {
    match word {
        "start" => Ok(Action::Start),
        "delete" => Ok(Action::Delete),
        _ => Err(format!("action {word:?} is not known, there are: start, delete")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, Failure> {
        Args::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn containerds_calls_are_understood() {
        let args =
            parse("-namespace default -address /run/c.sock -publish-binary /usr/bin/c -id x -debug start");
        let args = args.expect("a call of containerd 1.6");
        assert_eq!((args.action, args.id.as_str(), args.level), (Action::Start, "x", LevelFilter::Debug));
        assert_eq!(args.publish_binary, "/usr/bin/c");
        let args = parse("--namespace=k8s.io --id=y --bundle /b/y delete").expect("both styles");
        assert_eq!((args.action, args.bundle.as_str()), (Action::Delete, "/b/y"));
        assert_eq!(parse("-namespace a -id b").expect("the server").action, Action::Serve);
        let levels = parse("-namespace a -id b -log-level error").expect("the server's flag");
        assert_eq!(levels.level, LevelFilter::Error);
    }

    #[test]
    fn who_only_asks_needs_no_ids() {
        let asked = |line| parse(line).expect("a question").action;
        assert_eq!(asked("-v"), Action::Version);
        assert_eq!(asked("--version=true"), Action::Version);
        assert_eq!(asked("-address /run/c.sock -info"), Action::Info);
        assert_eq!(asked("-help"), Action::Help);
        // A value is no flag, and what follows the action is none either.
        assert_eq!(asked("-namespace a -id -v start -info"), Action::Start);
    }

    #[test]
    fn each_bad_word_is_named() {
        assert_eq!(parse("-colour red start"), Err("flag -colour is not known".into()));
        assert_eq!(parse("-log-level loud"), Err("flag -log-level is \"loud\", no level".into()));
        assert_eq!(parse("-id"), Err("flag -id needs a value".into()));
        assert_eq!(
            parse("-namespace a -id b stop"),
            Err("action \"stop\" is not known, there are: start, delete".into())
        );
        assert_eq!(
            parse("-namespace ../x -id b start"),
            Err("flag -namespace is \"../x\", it must be a plain name".into())
        );
    }
}
