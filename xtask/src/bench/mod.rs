//! The benchmarks: groups of measurements, each a median beside its budget and a peer from the same run.

mod report;
mod size;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

pub(crate) use report::{Measurement, Unit};

/// Measurements that belong together: one table in the report.
struct Group {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Result<Vec<Measurement>>,
}

const GROUPS: [Group; 1] =
    [Group { name: "size", about: "Size of the stripped static shim", run: size::run }];

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    group: Option<String>,
    json: Option<PathBuf>,
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = parse(arguments)?;
    let workspace = Workspace::find()?;
    let mut results = Vec::new();
    for group in chosen(wish.group.as_deref())? {
        println!("[{}] {} ...", group.name, group.about);
        let measurements = (group.run)(&workspace)?;
        print!("{}", report::table(&measurements));
        results.push((group, measurements));
    }
    let within = results.iter().flat_map(|(_, measurements)| measurements).all(Measurement::is_within_budget);
    report::write_markdown(&workspace.root.join("docs/benchmarks.md"), &results)?;
    if let Some(file) = wish.json {
        report::write_json(&file, &results)?;
    }
    if !within {
        bail!("a measurement is over its budget");
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--json" {
            let Some(file) = rest.next() else { bail!("--json: the file's name is missing") };
            wish.json = Some(PathBuf::from(file));
        } else if wish.group.is_none() && !argument.starts_with('-') {
            wish.group = Some(argument.clone());
        } else {
            bail!("argument {argument:?}: the benchmarks take one group and --json FILE");
        }
    }
    Ok(wish)
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Group>> {
    let chosen: Vec<_> = GROUPS.iter().filter(|group| name.is_none_or(|name| name == group.name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
        bail!("no group {:?}; the groups are {}", name.unwrap_or_default(), names.join(", "));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(arguments: &[&str]) -> Result<Wish> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn group_and_file_are_read_in_any_order() {
        let all = Wish { group: Some("size".into()), json: Some("a.json".into()) };
        assert_eq!(wish(&["size", "--json", "a.json"]).unwrap(), all);
        assert_eq!(wish(&["--json", "a.json", "size"]).unwrap(), all);
        assert_eq!(wish(&[]).unwrap(), Wish::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [&["--json"][..], &["size", "boot"], &["--jsn", "a"]] {
            assert!(wish(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn an_unknown_group_is_answered_with_the_known_ones() {
        assert!(chosen(Some("siez")).err().unwrap().to_string().ends_with("the groups are size"));
        assert_eq!(chosen(None).unwrap().len(), GROUPS.len());
    }
}
