//! What a measurement is, and how it is written down for people and for programs.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Group;

/// What the numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes; shown with separators.
    Bytes,
    /// 1024 bytes; shown with separators.
    Kibibytes,
    /// Milliseconds; shown with one decimal.
    Milliseconds,
    /// Microseconds; shown with separators.
    Microseconds,
    /// Nanoseconds; shown with separators.
    Nanoseconds,
    /// 1024 * 1024 bytes per second; shown with one decimal.
    MebibytesPerSecond,
    /// Things.
    Count,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Kibibytes => "KiB",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
            Self::MebibytesPerSecond => "MiB/s",
            Self::Count => "",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds | Self::MebibytesPerSecond => format!("{value:.1}"),
            Self::Bytes | Self::Kibibytes | Self::Microseconds | Self::Nanoseconds | Self::Count => {
                grouped(&format!("{value:.0}"))
            }
        }
    }
}

/// Which of the sorted samples is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistic {
    /// The middle one, or the mean of the two in the middle.
    Median,
    /// The smallest one that is not exceeded by 99 of 100 samples.
    Percentile99,
    /// The smallest one: what is left when nobody else has the cores.
    Smallest,
    /// The largest one, likewise for what had better be large.
    Largest,
}

impl Statistic {
    /// `None` without samples.
    fn of(self, samples: &[f64]) -> Option<f64> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        match self {
            Self::Median => {
                let (low, high) =
                    (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
                Some(f64::midpoint(*low, *high))
            }
            Self::Smallest => sorted.first().copied(),
            Self::Largest => sorted.last().copied(),
            Self::Percentile99 => sorted.get((sorted.len() * 99).div_ceil(100).checked_sub(1)?).copied(),
        }
    }
}

/// One line of a table: the median of some samples, perhaps with a promise and a peer.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    what: String,
    unit: Unit,
    statistic: Statistic,
    value: f64,
    samples: usize,
    budget: Option<f64>,
    peer: Option<(String, f64)>,
}

impl Measurement {
    /// # Errors
    /// There are no samples.
    pub(crate) fn new(what: &str, unit: Unit, samples: &[f64]) -> Result<Self> {
        Self::with(Statistic::Median, what, unit, samples)
    }

    /// The 99th percentile instead of the median, of the peer as well.
    ///
    /// # Errors
    /// There are no samples.
    pub(crate) fn percentile_99(what: &str, unit: Unit, samples: &[f64]) -> Result<Self> {
        Self::with(Statistic::Percentile99, what, unit, samples)
    }

    /// The best of the samples instead of the median, of the peer as well.
    ///
    /// # Errors
    /// There are no samples.
    pub(crate) fn best(what: &str, unit: Unit, samples: &[f64]) -> Result<Self> {
        let statistic =
            if unit == Unit::MebibytesPerSecond { Statistic::Largest } else { Statistic::Smallest };
        Self::with(statistic, what, unit, samples)
    }

    fn with(statistic: Statistic, what: &str, unit: Unit, samples: &[f64]) -> Result<Self> {
        let value = statistic.of(samples).with_context(|| format!("{what}: no samples"))?;
        let (what, samples) = (what.to_owned(), samples.len());
        Ok(Self { what, unit, statistic, value, samples, budget: None, peer: None })
    }

    /// The most that is promised.
    pub(crate) fn budget(mut self, most: f64) -> Self {
        self.budget = Some(most);
        self
    }

    /// The same thing measured in the same run on something else.
    ///
    /// # Errors
    /// There are no samples.
    pub(crate) fn peer(mut self, name: &str, samples: &[f64]) -> Result<Self> {
        let value = self.statistic.of(samples).with_context(|| format!("{name}: no samples"))?;
        self.peer = Some((name.to_owned(), value));
        Ok(self)
    }

    /// At most this share of the peer is promised.
    pub(crate) fn share(self, most: f64) -> Self {
        let budget = self.peer.as_ref().map(|(_, value)| value * most);
        Self { budget, ..self }
    }

    /// The statistic of the samples.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    pub(crate) fn is_within_budget(&self) -> bool {
        self.budget.is_none_or(|budget| self.value <= budget)
    }

    fn row(&self) -> String {
        let budget = self.budget.map_or_else(String::new, |budget| self.unit.show(budget));
        let (peer, ratio) = self.peer.as_ref().map_or_else(Default::default, |(name, value)| {
            (format!("{name}: {}", self.unit.show(*value)), ratio(self.value, *value))
        });
        let (unit, value) = (self.unit.name(), self.unit.show(self.value));
        format!("| {} | {value} | {unit} | {budget} | {peer} | {ratio} | {} |\n", self.what, self.samples)
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "value": self.value,
            "samples": self.samples,
            "budget": self.budget,
            "peer": self.peer.as_ref().map(|(name, value)| json!({ "name": name, "value": value })),
        })
    }
}

/// Nothing is a multiple of nothing.
fn ratio(own: f64, peer: f64) -> String {
    if peer > 0.0 { format!("{:.2}", own / peer) } else { String::new() }
}

/// What came of one group.
pub(super) struct Outcome {
    pub(super) group: &'static Group,
    /// Date, versions and machine, as one line.
    pub(super) conditions: String,
    pub(super) measurements: Vec<Measurement>,
}

impl Outcome {
    /// A Markdown table.
    pub(super) fn table(&self) -> String {
        let head =
            "| What | Median | Unit | Budget | Peer | Ratio | Samples |\n|---|---:|---|---:|---|---:|---:|\n";
        self.measurements.iter().fold(head.to_owned(), |table, measurement| table + &measurement.row())
    }

    fn section(&self) -> String {
        format!("{}\n{}.\n", self.table(), self.conditions)
    }

    fn json(&self) -> Value {
        let measurements: Vec<_> = self.measurements.iter().map(Measurement::json).collect();
        json!({ "conditions": self.conditions, "measurements": measurements })
    }
}

/// Puts the tables into the file, each between the marks of its group; other groups and all other text stay.
pub(super) fn write_markdown(file: &Path, outcomes: &[Outcome]) -> Result<()> {
    let mut text = if file.exists() { fs::read_to_string(file)? } else { "# Benchmarks\n".to_owned() };
    for outcome in outcomes {
        text = with_section(&text, outcome.group, &outcome.section());
    }
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// All results of this run as one JSON object, group by group.
pub(super) fn write_json(file: &Path, outcomes: &[Outcome]) -> Result<()> {
    let group = |outcome: &Outcome| (outcome.group.name.to_owned(), outcome.json());
    let all = Value::Object(outcomes.iter().map(group).collect());
    fs::write(file, format!("{all:#}\n")).with_context(|| file.display().to_string())
}

fn with_section(text: &str, group: &Group, section: &str) -> String {
    let (begin, end) = (format!("<!-- bench {} -->\n", group.name), format!("<!-- end {} -->\n", group.name));
    let body = format!("{begin}{section}{end}");
    match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{body}{}", &text[..from], &text[to + end.len()..])
        }
        _ => {
            let mut text = text.to_owned();
            // Writing to a string can't fail.
            let _ = write!(text, "\n## {}\n\n{body}", group.about);
            text
        }
    }
}

/// Digits in groups of three: `1,048,576`.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Run;

    const GROUP: Group = Group { name: "size", about: "Size", run: Run::Files(|_| Ok(Vec::new())) };

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        let median = |samples: &[f64]| Statistic::Median.of(samples);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_sample_in_a_hundred_is_above_the_99th_percentile() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(Statistic::Percentile99.of(&samples), Some(198.0));
        assert_eq!(Statistic::Percentile99.of(&[7.0]), Some(7.0));
        assert_eq!(Statistic::Percentile99.of(&[]), None);
    }

    #[test]
    fn a_peer_at_nothing_has_no_ratio() {
        let row =
            Measurement::new("switches", Unit::Count, &[3.0]).unwrap().peer("runc", &[0.0]).unwrap().row();
        assert_eq!(row, "| switches | 3 |  |  | runc: 0 |  | 1 |\n");
    }

    #[test]
    fn the_best_time_is_the_smallest_and_the_best_throughput_the_largest() {
        let best = |unit| Measurement::best("it", unit, &[3.0, 1.0, 2.0]).unwrap().value();
        assert_eq!((best(Unit::Nanoseconds), best(Unit::MebibytesPerSecond)), (1.0, 3.0));
    }

    #[test]
    fn a_peer_is_told_by_the_same_statistic() {
        let measurement = Measurement::percentile_99("trip", Unit::Microseconds, &[1.0, 2.0, 40.0]).unwrap();
        let row = measurement.peer("runc", &[5.0, 80.0, 6.0]).unwrap().row();
        assert_eq!(row, "| trip | 40 | us |  | runc: 80 | 0.50 | 3 |\n");
    }

    #[test]
    fn a_row_holds_value_budget_and_ratio() {
        let samples = [2_000_000.0];
        let row = Measurement::new("shim", Unit::Bytes, &samples).unwrap().budget(1_048_576.0);
        assert!(!row.is_within_budget());
        let row = row.peer("runc", &[4_000_000.0]).unwrap().row();
        assert_eq!(row, "| shim | 2,000,000 | bytes | 1,048,576 | runc: 4,000,000 | 0.50 | 1 |\n");
    }

    #[test]
    fn a_section_is_replaced_in_its_place() {
        let first = with_section("# Benchmarks\n", &GROUP, "old\n");
        assert_eq!(first, "# Benchmarks\n\n## Size\n\n<!-- bench size -->\nold\n<!-- end size -->\n");
        let second = with_section(&(first + "\nwords\n"), &GROUP, "new\n");
        assert_eq!(
            second,
            "# Benchmarks\n\n## Size\n\n<!-- bench size -->\nnew\n<!-- end size -->\n\nwords\n"
        );
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        assert_eq!(["7", "617672", "1048576"].map(grouped), ["7", "617,672", "1,048,576"]);
    }
}
