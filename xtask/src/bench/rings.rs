//! Rings between two processes, without shim, kernel's FIFO or emulator: what the crate `openamp` itself costs.
//!
//! The best sample counts, not the median: both processes have to be on their cores at the same time, and whatever
//! else runs on the machine adds whole time slices.

use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::{Measurement, Unit};
use crate::sh;
use crate::workspace::Workspace;

/// A round trip with kicks may take so many times as long as the bare ping-pong.
const BUDGET: f64 = 2.0;
/// The way to wait that moves cache lines and nothing else, a message twice as many as the ping-pong and more with its
/// payload: the budget is the peer.
const POLLING: &str = "polling";

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
    let wait = line.what.strip_prefix("round trip").and_then(|rest| rest.rsplit(", ").next());
    if wait == Some(POLLING) {
        return Ok(row.share(1.0));
    }
    if let Some(limit) = wait.and_then(|wait| find("limit", &format!("ping-pong, {wait}"))) {
        row = row.budget(BUDGET * best(limit)?.value());
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the first of the lines keeps its budget.
    fn is_kept(said: &[&str]) -> bool {
        let lines: Vec<Line> = said.iter().map(|line| line.parse().unwrap()).collect();
        row(&lines[0], &lines).unwrap().is_within_budget()
    }

    #[test]
    fn a_round_trip_with_kicks_gets_the_budget_of_its_own_ping_pong() {
        let limits = ["limit\tping-pong, polling\tns\t900", "limit\tping-pong, eventfd\tns\t100\t300\t110"];
        assert!(is_kept(&["ours\tround trip, 16 bytes, eventfd\tns\t200", limits[0], limits[1]]));
        assert!(!is_kept(&["ours\tround trip, 16 bytes, eventfd\tns\t201", limits[0], limits[1]]));
        assert!(is_kept(&[limits[1], limits[0]]));
    }

    #[test]
    fn a_polled_round_trip_gets_the_peers_time_where_there_is_a_peer() {
        let peer = "OpenAMP C library\tround trip, 16 bytes, polling\tns\t950\t900";
        let limit = "limit\tping-pong, polling\tns\t100";
        assert!(is_kept(&["ours\tround trip, 16 bytes, polling\tns\t900", limit, peer]));
        assert!(!is_kept(&["ours\tround trip, 16 bytes, polling\tns\t901", limit, peer]));
        assert!(is_kept(&["ours\tround trip, 16 bytes, polling\tns\t901", limit]));
    }

    #[test]
    fn a_line_with_another_unit_is_refused() {
        assert!("ours\tround trip\ts\t1".parse::<Line>().is_err());
        assert!("ours".parse::<Line>().is_err());
    }
}
