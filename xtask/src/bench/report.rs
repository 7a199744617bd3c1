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
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => grouped(&format!("{value:.0}")),
        }
    }
}

/// One line of a table: the median of some samples, perhaps with a promise and a peer.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    what: String,
    unit: Unit,
    median: f64,
    samples: usize,
    budget: Option<f64>,
    peer: Option<(String, f64)>,
}

impl Measurement {
    /// # Errors
    /// There are no samples.
    pub(crate) fn new(what: &str, unit: Unit, samples: &[f64]) -> Result<Self> {
        let median = median(samples).with_context(|| format!("{what}: no samples"))?;
        Ok(Self { what: what.to_owned(), unit, median, samples: samples.len(), budget: None, peer: None })
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
        let median = median(samples).with_context(|| format!("{name}: no samples"))?;
        self.peer = Some((name.to_owned(), median));
        Ok(self)
    }

    pub(crate) fn is_within_budget(&self) -> bool {
        self.budget.is_none_or(|budget| self.median <= budget)
    }

    fn row(&self) -> String {
        let budget = self.budget.map_or_else(String::new, |budget| self.unit.show(budget));
        let (peer, ratio) = self.peer.as_ref().map_or_else(Default::default, |(name, median)| {
            (format!("{name}: {}", self.unit.show(*median)), format!("{:.2}", self.median / median))
        });
        let (unit, median) = (self.unit.name(), self.unit.show(self.median));
        format!("| {} | {median} | {unit} | {budget} | {peer} | {ratio} | {} |\n", self.what, self.samples)
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit.name(),
            "median": self.median,
            "samples": self.samples,
            "budget": self.budget,
            "peer": self.peer.as_ref().map(|(name, median)| json!({ "name": name, "median": median })),
        })
    }
}

/// The middle sample, or the mean of the two in the middle; `None` without samples.
fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// A Markdown table.
pub(super) fn table(measurements: &[Measurement]) -> String {
    let head =
        "| What | Median | Unit | Budget | Peer | Ratio | Samples |\n|---|---:|---|---:|---|---:|---:|\n";
    measurements.iter().fold(head.to_owned(), |table, measurement| table + &measurement.row())
}

/// Puts the tables into the file, each between the marks of its group; other groups and all other text stay.
pub(super) fn write_markdown(file: &Path, results: &[(&Group, Vec<Measurement>)]) -> Result<()> {
    let mut text = if file.exists() { fs::read_to_string(file)? } else { "# Benchmarks\n".to_owned() };
    for (group, measurements) in results {
        text = with_section(&text, group, &table(measurements));
    }
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// All results of this run as one JSON object, group by group.
pub(super) fn write_json(file: &Path, results: &[(&Group, Vec<Measurement>)]) -> Result<()> {
    let group = |(group, measurements): &(&Group, Vec<Measurement>)| {
        (group.name.to_owned(), measurements.iter().map(Measurement::json).collect())
    };
    let all = Value::Object(results.iter().map(group).collect());
    fs::write(file, format!("{all:#}\n")).with_context(|| file.display().to_string())
}

fn with_section(text: &str, group: &Group, table: &str) -> String {
    let (begin, end) = (format!("<!-- bench {} -->\n", group.name), format!("<!-- end {} -->\n", group.name));
    let body = format!("{begin}{table}{end}");
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

    const GROUP: Group = Group { name: "size", about: "Size", run: |_| Ok(Vec::new()) };

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
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
