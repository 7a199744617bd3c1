//! Rings between two processes, without shim, kernel's FIFO or emulator: what the crate `openamp` itself costs.
//!
//! The best sample counts, not the median: both processes have to be on their cores at the same time, and whatever
//! else runs on the machine adds whole time slices.

use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::{Measurement, Unit};
use crate::sh;
use crate::workspace::Workspace;

/// A round trip may take so many times as long as the bare ping-pong.
const BUDGET: f64 = 2.0;

pub(super) fn run(workspace: &Workspace) -> Result<Vec<Measurement>> {
    sh::run(workspace.cargo().args(["build", "--profile", "bench", "-p", "rigs", "--bin", "rings"]))?;
    let said = sh::read(&mut sh::command(workspace.target.join("release/rings")))?;
    let lines = said.lines().map(str::parse).collect::<Result<Vec<Line>>>()?;
    lines.iter().filter(|line| line.whose != PEER).map(|line| row(line, &lines)).collect()
}

/// Who does the same work where it is present.
const PEER: &str = "OpenAMP C library";

/// What the rig says of one measurement.
struct Line {
    whose: String,
    what: String,
    unit: Unit,
    samples: Vec<f64>,
}

impl FromStr for Line {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut field = || fields.next().with_context(|| format!("a short line: {line:?}"));
        let (whose, what, unit) = (field()?, field()?, field()?);
        let unit = match unit.as_str() {
            "ns" => Unit::Nanoseconds,
            "MiB/s" => Unit::MebibytesPerSecond,
            other => bail!("unit {other:?}, known are ns and MiB/s"),
        };
        let samples = fields.map(|sample| Ok(sample.parse()?)).collect::<Result<_>>()?;
        Ok(Self { whose, what, unit, samples })
    }
}

/// One row of the table: a limit as it is, ours with its budget and its peer.
fn row(line: &Line, all: &[Line]) -> Result<Measurement> {
    let best = |line: &Line| Measurement::best(&format!("{}, best", line.what), line.unit, &line.samples);
    let mut row = best(line)?;
    let find = |whose: &str, what: &str| all.iter().find(|other| other.whose == whose && other.what == what);
    if let Some(peer) = find(PEER, &line.what) {
        row = row.peer(PEER, &peer.samples)?;
    }
    let bare = line.what.strip_prefix("round trip").and_then(|rest| rest.rsplit(", ").next());
    if let Some(limit) = bare.and_then(|wait| find("limit", &format!("ping-pong, {wait}"))) {
        row = row.budget(BUDGET * best(limit)?.value());
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_gets_the_budget_of_its_own_ping_pong() {
        let said = [
            "limit\tping-pong, polling\tns\t100\t300\t110",
            "limit\tping-pong, eventfd\tns\t9000",
            "ours\tround trip, 16 bytes, polling\tns\t250",
            "OpenAMP C library\tround trip, 16 bytes, polling\tns\t900",
        ];
        let lines: Vec<Line> = said.iter().map(|line| line.parse().unwrap()).collect();
        assert!(!row(&lines[2], &lines).unwrap().is_within_budget());
        assert!(row(&lines[0], &lines).unwrap().is_within_budget());
    }

    #[test]
    fn a_line_with_another_unit_is_refused() {
        assert!("ours\tround trip\ts\t1".parse::<Line>().is_err());
        assert!("ours".parse::<Line>().is_err());
    }
}
