//! The tables of `docs/reference/resources.md`, row by row, and what is refused.

use serde_json::{Map, Value, json};

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/reference/resources.md");

fn online() -> CpuList {
    CpuList::parse("0-3").expect("a list")
}

fn policy() -> Policy {
    Policy { node_max_vcpus: 8, pin: true, ..Policy::default() }
}

/// The rows below a heading, as cells without blanks and backquotes; heads and rules are rows as well.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {heading}\n")).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &'static str| row.split('|').map(|cell| cell.trim_matches([' ', '`'])).collect();
    rows.map(cells).collect()
}

/// An example of the document.
pub(crate) struct Example {
    pub(crate) given: &'static str,
    pub(crate) plan: Plan,
    core: CoreLimits,
    /// What the control group of an emulated core has: `cpu.weight`, `cpu.max`, and `memory.max` in MiB.
    pub(crate) group: [&'static str; 3],
}

pub(crate) fn examples() -> Vec<Example> {
    rows("Examples").iter().skip(1).map(|row| example(row)).collect()
}

fn example(row: &[&'static str]) -> Example {
    let &[given, vcpus, max_vcpus, weight, capacity, memory, max_memory, cpus, ref group @ ..] = row else {
        panic!("{row:?} has {} cells", row.len())
    };
    let (mut oci, mut policy) = (Map::new(), policy());
    given.split_whitespace().for_each(|word| apply(word.trim_matches('`'), &mut oci, &mut policy));
    let oci = Oci::parse(&oci.into()).expect("resources");
    let plan = plan(&oci, &policy, &online()).unwrap_or_else(|error| panic!("{given}: {error}"));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{row:?}: {text}"));
    let core = CoreLimits {
        vcpus: number(vcpus),
        max_vcpus: number(max_vcpus),
        cpu_weight: number(weight),
        cpu_capacity: number(capacity),
        memory: number(memory),
        max_memory: number(max_memory),
        cpus: CpuList::parse(cpus),
    };
    Example { given, plan, core, group: group.try_into().expect("three cells") }
}

/// Puts `field=value` of the first column where it belongs.
fn apply(word: &str, oci: &mut Map<String, Value>, policy: &mut Policy) {
    let (field, value) = word.split_once('=').expect("field=value");
    let number = || value.parse::<i64>().unwrap_or_else(|_| panic!("{word}"));
    let small = || Some(u32::try_from(number()).expect(word));
    let list = || CpuList::parse(value).expect(word);
    match field {
        "cpu.cpus" => drop(group(oci, "cpu").insert("cpus".into(), value.into())),
        "cpu.shares" | "cpu.quota" | "cpu.period" | "memory.limit" | "memory.reservation" => {
            let (name, field) = field.split_once('.').expect("a group");
            group(oci, name).insert(field.to_owned(), number().into());
        }
        "resources.max_vcpus" => policy.node_max_vcpus = small().expect("a number"),
        "resources.max_memory" => policy.node_max_memory = small(),
        "resources.default_memory" => policy.default_memory = small(),
        "resources.rtos_cpus" => policy.rtos_cpus = Some(list()),
        "resources.pin" => policy.pin = value == "true",
        "pool" => policy.pool = Some(list()),
        "max_vcpu_num" => policy.max_vcpus = small(),
        "min_memory_mb" => policy.min_memory = small(),
        "VCPU" => policy.image.vcpus = small(),
        "CPUWeight" => policy.image.cpu_weight = small(),
        "CPUCapacity" => policy.image.cpu_capacity = small(),
        "Memory" => policy.image.memory = small(),
        "MaxMemory" => policy.image.max_memory = small(),
        _ => panic!("{word} of the document is not known here"),
    }
}

fn group<'o>(oci: &'o mut Map<String, Value>, name: &str) -> &'o mut Map<String, Value> {
    oci.entry(name).or_insert_with(|| json!({})).as_object_mut().expect("a group")
}

#[test]
fn the_documents_examples_are_what_comes_out() {
    let examples = examples();
    assert!(examples.len() > 20, "{}", examples.len());
    for Example { given, plan, core, .. } in examples {
        assert_eq!(plan.core, core, "{given}");
    }
}

/// The fields of a struct of the OCI crate, as its debugging output has them.
fn fields(debug: &str) -> Vec<String> {
    let inner = debug.split_once(" { ").expect("a struct").1.trim_end_matches(" }");
    let names = inner.split(", ").map(|field| field.split(':').next().expect("a name").replace('_', ""));
    names.collect()
}

#[test]
fn the_document_has_every_field_of_oci() {
    use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
    let empty: LinuxResources = serde_json::from_str("{}").expect("no resources");
    let groups = [
        ("memory", format!("{:?}", LinuxMemory::default())),
        ("cpu", format!("{:?}", LinuxCpu::default())),
        ("pids", format!("{:?}", LinuxPids::default())),
    ];
    let mut known: Vec<String> = Vec::new();
    for field in fields(&format!("{empty:?}")) {
        match groups.iter().find(|(name, _)| *name == field) {
            Some((group, debug)) => {
                known.extend(fields(debug).into_iter().map(|field| format!("{group}.{field}")));
            }
            None => known.push(field),
        }
    }
    let rows = table();
    let mut documented: Vec<String> = rows.iter().map(|row| row[0].to_lowercase()).collect();
    known.sort();
    documented.sort();
    assert_eq!(documented, known);
}

/// The rows of the table of fields.
fn table() -> Vec<Vec<&'static str>> {
    let rows = rows("Every field").into_iter().skip_while(|row| row[0] != "Field").collect::<Vec<_>>();
    rows[1..].to_vec()
}

#[test]
fn what_a_pedestal_makes_of_a_field_is_what_the_document_says() {
    let heads = rows("Every field").into_iter().find(|row| row[0] == "Field").expect("the table");
    let columns = &heads[2..9];
    assert_eq!(columns, ["qemu", "mcs", "remoteproc", "baremetal", "jailhouse", "hetero", "xen"]);
    for (pedestal, column) in columns.iter().zip(2..) {
        let driver = Driver::of(pedestal);
        for row in table() {
            let (field, cell) = (row[0], row[column]);
            // What is set, whatever it is set to: a group's first field, or all of a field without a group.
            let (group, inner) = field.split_once('.').unwrap_or((field, ""));
            let set = if inner.is_empty() { json!({group: [1]}) } else { json!({group: {inner: 1}}) };
            let logged = unhonoured(&set, driver.honours());
            let refused = changed(set.as_object().expect("a group"), &Value::Null, driver.changes());
            let (is_logged, is_refused) = match cell {
                "log" => (true, true),
                "check" => (false, true),
                "always set" => (false, true),
                "met" => (false, false),
                limit => {
                    let known = limits(limit);
                    assert!(known.iter().all(|name| !name.is_empty()), "{field}: {limit}");
                    (false, false)
                }
            };
            assert_eq!(logged, if is_logged { vec![field] } else { Vec::new() }, "{pedestal}: {field}");
            assert_eq!(refused, if is_refused { vec![field] } else { Vec::new() }, "{pedestal}: {field}");
            assert_ne!((is_refused, row[9].is_empty()), (true, true), "{field} has no reason");
        }
    }
}

/// The limits in a cell, which all have a row among the formulas.
fn limits(cell: &str) -> Vec<&str> {
    let formulas: Vec<&str> =
        rows("Formulas").into_iter().flat_map(|row| row[0].split(", ").collect::<Vec<_>>()).collect();
    let names = cell.split(", ").map(|name| name.trim_matches('`')).filter(|name| *name != "check");
    names.inspect(|name| assert!(formulas.contains(name), "{name} has no formula")).collect()
}

fn refusal(oci: &Value, policy: &Policy) -> String {
    let oci = Oci::parse(oci).expect("resources");
    plan(&oci, policy, &online()).expect_err("refused").to_string()
}

#[test]
fn cpus_that_there_are_not_are_refused() {
    let with = |cpus: &str| refusal(&json!({"cpu": {"cpus": cpus}}), &policy());
    assert_eq!(with("one"), "cpu.cpus is \"one\", it must be a list of cpus like 0-2,5");
    assert!(with(&"9".repeat(1000)).len() < 200);
    assert_eq!(with("2-4"), "cpu.cpus is \"2-4\", this host has cpus 0-3");
    let reserved = Policy { rtos_cpus: CpuList::parse("2-3"), ..policy() };
    assert_eq!(
        refusal(&json!({"cpu": {"cpus": "0-1"}}), &reserved),
        "cpu.cpus is \"0-1\", none of them is for rtos: resources.rtos_cpus of the node is 2-3"
    );
}

#[test]
fn what_the_node_does_not_give_is_refused() {
    let policy = Policy { node_max_memory: Some(64), max_vcpus: Some(9), ..policy() };
    assert_eq!(
        refusal(&json!({}), &policy),
        "max_vcpu_num is 9, at most 8 is allowed by resources.max_vcpus of the node"
    );
    let policy = Policy { max_vcpus: None, ..policy };
    assert_eq!(
        refusal(&json!({"memory": {"limit": (64 << 20) + 1}}), &policy),
        "memory.limit is 67108865 bytes, at most 64 MiB is allowed by resources.max_memory of the node"
    );
    assert_eq!(
        refusal(&json!({"memory": {"limit": 1000}}), &policy),
        "memory.limit is 1000, it must be 1 MiB (1048576) or more"
    );
}

#[test]
fn no_number_is_too_large() {
    let largest = json!({
        "cpu": {"shares": u64::MAX, "quota": i64::MAX, "period": 1},
        "memory": {"limit": i64::MAX, "reservation": (1_i64 << 60) - 1},
    });
    let plan = plan(&Oci::parse(&largest).expect("resources"), &policy(), &online()).expect("planned");
    assert_eq!((plan.core.vcpus, plan.core.cpu_weight, plan.core.cpu_capacity), (8, 65535, 800));
    assert_eq!((plan.core.memory, plan.group.memory), (i32::MAX as u32, None));
}

#[test]
fn a_pool_is_where_its_members_run_and_no_wider_than_each() {
    let (mut oci, mut policy) = (Map::new(), policy());
    ["cpu.cpus=1-3", "resources.rtos_cpus=1-2", "pool=0-2"]
        .iter()
        .for_each(|word| apply(word, &mut oci, &mut policy));
    let pooled = |oci: &Map<String, Value>, policy: &Policy| {
        let plan =
            plan(&Oci::parse(&oci.clone().into()).expect("resources"), policy, &online()).expect("planned");
        let text = |cpus: Option<CpuList>| cpus.map(|cpus| cpus.to_string());
        (plan.core.vcpus, text(plan.core.cpus), text(plan.own))
    };
    let some = |list: &str| Some(list.to_owned());
    assert_eq!(pooled(&oci, &policy), (3, some("0-2"), some("1-2")));
    assert_eq!(pooled(&Map::new(), &policy), (1, some("0-2"), None), "it has no cpuset to give");
    policy.pin = false;
    assert_eq!(pooled(&oci, &policy), (3, some("1-2"), None), "it neither gives nor takes");
}
