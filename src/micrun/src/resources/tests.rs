//! The examples of `docs/reference/resources.md`, row by row, and what is refused.

use serde_json::{Map, Value, json};

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/reference/resources.md");
/// Between these lines is the table.
const EXAMPLES: &str = "## Examples";

fn online() -> CpuList {
    CpuList::parse("0-3").expect("a list")
}

fn policy() -> Policy {
    Policy { node_max_vcpus: 8, pin: true, ..Policy::default() }
}

/// The rows below the heading, as cells without blanks and backquotes.
fn rows() -> Vec<Vec<&'static str>> {
    let (_, section) = DOCUMENT.split_once(EXAMPLES).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |row: &'static str| row.split('|').map(|cell| cell.trim_matches([' ', '`'])).collect();
    rows.map(cells).collect()
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
    let rows = rows();
    // The first two are the heads and the rule under them.
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows.iter().skip(2) {
        let [given, vcpus, max_vcpus, weight, capacity, memory, max_memory, cpus, group_memory] = row[..]
        else {
            panic!("{row:?} has {} cells", row.len())
        };
        let (mut oci, mut policy) = (Map::new(), policy());
        given.split_whitespace().for_each(|word| apply(word.trim_matches('`'), &mut oci, &mut policy));
        let oci = Oci::parse(&oci.into()).expect("resources");
        let plan = match plan(&oci, &policy, &online()) {
            Ok(plan) => plan,
            Err(error) => panic!("{given}: {error}"),
        };
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{row:?}: {text}"));
        let expected = CoreLimits {
            vcpus: number(vcpus),
            max_vcpus: number(max_vcpus),
            cpu_weight: number(weight),
            cpu_capacity: number(capacity),
            memory: number(memory),
            max_memory: number(max_memory),
            cpus: CpuList::parse(cpus),
        };
        assert_eq!(plan.core, expected, "{given}");
        assert_eq!(plan.group.memory, group_memory.parse().ok().map(|mib: u64| mib << 20), "{given}");
    }
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
fn what_a_pedestal_honours_is_what_the_document_says() {
    let (_, section) = DOCUMENT.split_once("## What each pedestal honours").expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    for driver in Driver::ALL {
        let column = match driver {
            Driver::Qemu => 1,
            Driver::Core => 2,
            Driver::Xen => 3,
        };
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
        let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let honoured: Vec<&str> =
            cells.filter(|cells| cells[column] != "no").map(|cells| cells[0].trim_end_matches('`')).collect();
        assert_eq!(honoured, driver.honours(), "{driver}");
    }
}
