//! Container logs as the kubelet reads them.

use anyhow::{Context, Result, bail};

/// One line of a container's log, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Whether the line ends here (`F`) or goes on in the next one (`P`).
    pub full: bool,
    /// What was written, without the line feed.
    pub text: String,
}

/// Reads `<RFC 3339 time> <stream> <tag> <text>` lines. What comes after the last line feed is still being written.
///
/// # Errors
/// A line has another form.
pub fn lines(log: &str) -> Result<Vec<Line>> {
    let whole = log.rfind('\n').and_then(|end| log.get(..end)).unwrap_or_default();
    whole
        .split_terminator('\n')
        .map(|line| parse(line).with_context(|| format!("log line {line:?}")))
        .collect()
}

fn parse(line: &str) -> Result<Line> {
    let mut words = line.splitn(4, ' ');
    let (Some(time), Some(stream), Some(tag)) = (words.next(), words.next(), words.next()) else {
        bail!("fewer than three words");
    };
    if !time.starts_with("20") || !time.contains('T') {
        bail!("{time:?} is no RFC 3339 time");
    }
    if !["stdout", "stderr"].contains(&stream) {
        bail!("{stream:?} is no stream");
    }
    let full = match tag {
        "F" => true,
        "P" => false,
        other => bail!("{other:?} is neither F nor P"),
    };
    Ok(Line { stream: stream.to_owned(), full, text: words.next().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_spaces_and_an_unfinished_one_waits() {
        let log = "2026-11-21T04:31:47.1+01:00 stdout F  a  b\n2026-11-21T04:31:48Z stderr P \n2026-11";
        let line = |stream: &str, full, text: &str| Line { stream: stream.into(), full, text: text.into() };
        assert_eq!(lines(log).unwrap(), [line("stdout", true, " a  b"), line("stderr", false, "")]);
    }

    #[test]
    fn other_forms_are_refused() {
        for log in ["plain text\n", "2026-11-21T04:31:47Z stdin F x\n", "2026-11-21T04:31:47Z stdout X x\n"] {
            assert!(lines(log).is_err(), "{log:?}");
        }
    }
}
