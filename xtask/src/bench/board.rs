//! The board in QEMU: what the shim costs beside a core of Linux's own, and its channel beside the kernel's.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Measurement, Unit};
use crate::amp;
use crate::workspace::Workspace;

/// What the guest begins its lines with.
const MARK: &str = "bench ";

/// Boots the board and takes what it has measured.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    let lines = amp::measure(workspace)?;
    let lines = lines.iter().filter_map(|line| line.strip_prefix(MARK));
    let rows: Vec<_> = lines.map(|line| row(line).with_context(|| line.to_owned())).collect::<Result<_>>()?;
    if rows.is_empty() {
        bail!("the guest has measured nothing");
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Measurement> {
    let line: Value = serde_json::from_str(line)?;
    let what = line["what"].as_str().context("what")?;
    let unit = match line["unit"].as_str() {
        Some("bytes") => Unit::Bytes,
        Some("KiB") => Unit::Kibibytes,
        Some("ms") => Unit::Milliseconds,
        Some("MiB/s") => Unit::MebibytesPerSecond,
        other => bail!("unit {other:?}"),
    };
    let row = Measurement::new(what, unit, &samples(&line["samples"])?)?;
    match line["peer"].as_str() {
        Some(peer) => row.peer(peer, &samples(&line["peer_samples"])?),
        None => Ok(row),
    }
}

fn samples(values: &Value) -> Result<Vec<f64>> {
    let values = values.as_array().context("samples")?;
    values.iter().map(|value| value.as_f64().context("a sample")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_guest_is_a_row() {
        let line = r#"{"what":"a","unit":"ms","samples":[1.0, 3.0],"peer":"b","peer_samples":[2.0]}"#;
        assert!(row(line).is_ok());
        assert!(row(r#"{"what":"a","unit":"parsec","samples":[1.0]}"#).is_err());
        assert!(row(r#"{"what":"a","unit":"ms","samples":[]}"#).is_err());
    }
}
