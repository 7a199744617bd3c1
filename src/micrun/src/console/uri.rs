//! How containerd names a stream: by a path, or by a URI.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere.
    Nothing,
    /// To a FIFO or a file that is there.
    Path(PathBuf),
    /// To a file that is made if it is missing.
    File(PathBuf),
    /// To a program.
    Logger(Program),
}

/// A logger: what is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// Keys and values of the query in turn.
    pub(super) arguments: Vec<OsString>,
    /// It says that it is ready by a byte. Without this the end of its pipe is enough, which also comes when it dies.
    pub(super) speaks: bool,
}

/// Why a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// A scheme that nobody knows.
    #[error("the scheme must be fifo, file, binary or binary-v2")]
    Scheme,
    /// A host, or a path that begins anywhere.
    #[error("the path after :// must be absolute")]
    Relative,
    /// A percent sign without two hex digits.
    #[error("a percent sign must be followed by two hex digits")]
    Percent,
    /// Input from a program.
    #[error("a logger has no input to give")]
    Input,
}

/// Reads the name of a stream.
pub(super) fn parse(name: &str) -> Result<Target, UriError> {
    if name.is_empty() {
        return Ok(Target::Nothing);
    }
    let Some((scheme, rest)) = name.split_once("://") else { return Ok(at(name.into(), Target::Path)) };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    match scheme {
        "fifo" => Ok(at(absolute(path)?, Target::Path)),
        "file" => Ok(at(absolute(path)?, Target::File)),
        "binary" | "binary-v2" => {
            let (path, arguments) = (absolute(path)?, arguments(query)?);
            Ok(Target::Logger(Program { path, arguments, speaks: scheme == "binary-v2" }))
        }
        _ => Err(UriError::Scheme),
    }
}

fn at(path: PathBuf, target: impl FnOnce(PathBuf) -> Target) -> Target {
    if path.as_os_str() == "/dev/null" { Target::Nothing } else { target(path) }
}

fn absolute(path: &str) -> Result<PathBuf, UriError> {
    if path.starts_with('/') { Ok(decode(path)?.into()) } else { Err(UriError::Relative) }
}

/// The keys of a query, each with its first value behind it, as containerd's own shim hands them over.
fn arguments(query: &str) -> Result<Vec<OsString>, UriError> {
    let mut pairs: Vec<(OsString, OsString)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let pair = pair.replace('+', " ");
        let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
        let (key, value) = (decode(key)?, decode(value)?);
        if pairs.iter().all(|(known, _)| *known != key) {
            pairs.push((key, value));
        }
    }
    Ok(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())
}

fn decode(text: &str) -> Result<OsString, UriError> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next())? << 4 | hex(rest.next())?,
            other => other,
        });
    }
    Ok(OsString::from_vec(bytes))
}

fn hex(digit: Option<u8>) -> Result<u8, UriError> {
    let value = digit.and_then(|digit| char::from(digit).to_digit(16));
    value.map(|value| value as u8).ok_or(UriError::Percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logger(path: &str, arguments: &[&str], speaks: bool) -> Result<Target, UriError> {
        let arguments = arguments.iter().map(OsString::from).collect();
        Ok(Target::Logger(Program { path: path.into(), arguments, speaks }))
    }

    #[test]
    fn paths_stay_as_they_are() {
        assert_eq!(parse("/run/fifo/a%20b?c"), Ok(Target::Path("/run/fifo/a%20b?c".into())));
        for nothing in ["", "/dev/null", "file:///dev/null", "fifo:///dev/null"] {
            assert_eq!(parse(nothing), Ok(Target::Nothing), "{nothing}");
        }
    }

    #[test]
    fn the_paths_of_uris_are_decoded() {
        assert_eq!(parse("fifo:///run/a%20b"), Ok(Target::Path("/run/a b".into())));
        assert_eq!(parse("file:///log/x?max=1"), Ok(Target::File("/log/x".into())));
        // ctr's own documentation has four slashes.
        assert_eq!(parse("binary:////bin/l"), logger("//bin/l", &[], false));
    }

    #[test]
    fn a_query_becomes_keys_and_first_values_in_turn() {
        let uri = "binary:///l?--a=1&b=%2Fx+y%3D&--a=2&&c";
        assert_eq!(parse(uri), logger("/l", &["--a", "1", "b", "/x y=", "c", ""], false));
        assert_eq!(parse("binary-v2:///l?"), logger("/l", &[], true));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(parse("http://x/y"), Err(UriError::Scheme));
        for relative in ["binary://l", "file://", "fifo://host/x"] {
            assert_eq!(parse(relative), Err(UriError::Relative), "{relative}");
        }
        for wrong in ["file:///%", "file:///%4", "binary:///l?a=%zz", "binary:///%é"] {
            assert_eq!(parse(wrong), Err(UriError::Percent), "{wrong}");
        }
    }
}
