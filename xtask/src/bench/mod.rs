//! The benchmarks: groups of measurements, each a median beside its budget and a peer from the same run.

mod board;
mod channel;
mod conditions;
mod driver;
mod events;
mod first_byte;
mod idle;
mod images;
mod life;
mod proc;
mod report;
mod rings;
mod size;
mod stage;
mod streams;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::report::Outcome;
use self::stage::Stage;
use crate::workspace::Workspace;

pub(crate) use report::{Measurement, Unit};
pub(crate) use streams::readable;

/// Measurements that belong together: one table in the report.
struct Group {
    name: &'static str,
    about: &'static str,
    run: Run,
}

/// What a group needs.
enum Run {
    /// Products of the build only.
    Files(fn(&Workspace) -> Result<Vec<Measurement>>),
    /// Containers, and so root.
    Containers(fn(&Stage) -> Result<Vec<Measurement>>),
}

/// `size` comes first: it builds, and what is measured later should not share the machine with a compiler.
const GROUPS: [Group; 8] = [
    Group { name: "size", about: "Size of the programs", run: Run::Files(size::run) },
    Group { name: "rings", about: "Rings between two processes", run: Run::Files(rings::run) },
    Group { name: "images", about: "Making images", run: Run::Files(images::run) },
    Group { name: "life", about: "A container's life", run: Run::Containers(life::run) },
    Group { name: "idle", about: "What an idle container costs", run: Run::Containers(idle::run) },
    Group { name: "first-byte", about: "To the first console byte", run: Run::Containers(first_byte::run) },
    Group { name: "channel", about: "The console's channel", run: Run::Containers(channel::run) },
    Group { name: "board", about: "A core of Linux's own", run: Run::Files(board::run) },
];

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    group: Option<String>,
    json: Option<PathBuf>,
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = parse(arguments)?;
    let workspace = Workspace::find()?;
    let groups = chosen(wish.group.as_deref())?;
    let containers = groups.iter().any(|group| matches!(group.run, Run::Containers(_)));
    let stage = containers.then(|| Stage::build(&workspace)).transpose()?;
    let mut outcomes = Vec::new();
    for group in groups {
        println!("[{}] {} ...", group.name, group.about);
        let outcome = measure(group, &workspace, stage.as_ref())?;
        print!("{}", outcome.table());
        outcomes.push(outcome);
    }
    report::write_markdown(&workspace.root.join("docs/benchmarks.md"), &outcomes)?;
    if let Some(file) = wish.json {
        report::write_json(&file, &outcomes)?;
    }
    let mut measurements = outcomes.iter().flat_map(|outcome| &outcome.measurements);
    if !measurements.all(Measurement::is_within_budget) {
        bail!("a measurement is over its budget");
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(group: &'static Group, workspace: &Workspace, stage: Option<&Stage>) -> Result<Outcome> {
    let conditions = conditions::now(stage.map(|stage| stage.tools.qemu.as_path()))?;
    let measurements = match (&group.run, stage) {
        (Run::Files(run), _) => run(workspace)?,
        (Run::Containers(run), Some(stage)) => run(stage)?,
        (Run::Containers(_), None) => bail!("group {} has no stage", group.name),
    };
    Ok(Outcome { group, conditions, measurements })
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
        let error = chosen(Some("siez")).err().unwrap().to_string();
        assert!(
            error.ends_with("the groups are size, rings, images, life, idle, first-byte, channel, board"),
            "{error}"
        );
        assert_eq!(chosen(None).unwrap().len(), GROUPS.len());
    }
}
