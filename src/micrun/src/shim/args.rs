//! The command line, in Go's style: one dash or two, value after a space or `=`, the action last.

use super::Failure;

/// What the binary is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make a server, or find the group's, and print its address.
    Start,
    /// Be the server. `start` calls the binary so.
    Serve,
    /// Clean up after a container whose server is gone.
    Delete,
    /// Say what this is.
    Version,
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
    pub(super) debug: bool,
}

impl Args {
    pub(super) fn parse(words: impl Iterator<Item = String>) -> Result<Args, Failure> {
        let mut args = Args {
            action: Action::Serve,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: String::new(),
            debug: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else {
                args.action = action(&word)?;
                break;
            };
            args.flag(flag, &mut words)?;
            if args.action == Action::Version {
                return Ok(args);
            }
        }
        args.check()
    }

    fn flag(&mut self, flag: &str, words: &mut impl Iterator<Item = String>) -> Result<(), Failure> {
        let (name, inline) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let mut ignored = String::new();
        let value = match name {
            "v" | "version" => {
                self.action = Action::Version;
                return Ok(());
            }
            "debug" => {
                self.debug = inline.is_none_or(|value| value == "true");
                return Ok(());
            }
            "namespace" => &mut self.namespace,
            "id" => &mut self.id,
            "address" => &mut self.address,
            "bundle" => &mut self.bundle,
            // Events go by ttrpc; the socket is inherited.
            "publish-binary" | "socket" => &mut ignored,
            _ => return Err(format!("flag -{name} is not known")),
        };
        let given = inline.map(str::to_owned).or_else(|| words.next());
        *value = given.ok_or_else(|| format!("flag -{name} needs a value"))?;
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
        assert_eq!((args.action, args.id.as_str(), args.debug), (Action::Start, "x", true));
        let args = parse("--namespace=k8s.io --id=y --bundle /b/y delete").expect("both styles");
        assert_eq!((args.action, args.bundle.as_str()), (Action::Delete, "/b/y"));
        assert_eq!(parse("-namespace a -id b").expect("the server").action, Action::Serve);
        assert_eq!(parse("-v").expect("no ids needed").action, Action::Version);
    }

    #[test]
    fn each_bad_word_is_named() {
        assert_eq!(parse("-colour red start"), Err("flag -colour is not known".into()));
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
