//! OCI's `linux.resources`, as far as a core can use it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Most fields that are named, and most characters of a name.
const NAMED: (usize, usize) = (8, 48);
/// Set on every container by everybody, and without meaning where no process opens a device node.
const DEVICES: &str = "devices";

/// Not resources.
#[derive(Debug, thiserror::Error)]
#[error("resources are not what oci calls linux resources: {0}")]
pub struct OciError(#[from] serde_json::Error);

/// The fields that mean something to some core. Absent, null and zero are the same: Go's encoders write either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Oci {
    pub(super) cpu: Option<Cpu>,
    pub(super) memory: Option<Memory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Cpu {
    pub(super) shares: Option<u64>,
    pub(super) quota: Option<i64>,
    pub(super) period: Option<u64>,
    pub(super) cpus: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    pub(super) limit: Option<i64>,
    pub(super) swap: Option<i64>,
    pub(super) reservation: Option<i64>,
}

impl Oci {
    /// Reads them; null is none at all.
    pub fn parse(resources: &Value) -> Result<Oci, OciError> {
        Ok(Option::deserialize(resources)?.unwrap_or_default())
    }
}

/// `given` with what `wanted` sets in its place.
pub fn merged(given: &Value, wanted: &Map<String, Value>) -> Value {
    let mut merged = given.as_object().cloned().unwrap_or_default();
    for (group, value) in wanted.iter().filter(|(_, value)| is_set(value)) {
        match (merged.get_mut(group), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let set = new.iter().filter(|(_, value)| is_set(value));
                old.extend(set.map(|(field, value)| (field.clone(), value.clone())));
            }
            _ => drop(merged.insert(group.clone(), value.clone())),
        }
    }
    merged.into()
}

/// Names of the fields that `wanted` sets to something else than `given`, but those in `known`; as far as they are to be
/// named. containerd's CRI service repeats all that the container was made with.
pub fn changed(wanted: &Map<String, Value>, given: &Value, known: &[&str]) -> Vec<String> {
    let fields = wanted.iter().flat_map(|(group, value)| match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(field, value)| is_set(value) && given[group][field] != **value)
            .map(|(field, _)| format!("{group}.{field}"))
            .collect(),
        value if is_set(value) && given[group] != *value => vec![group.clone()],
        _ => Vec::new(),
    });
    let (most, longest) = NAMED;
    let others = fields.filter(|field| !known.contains(&field.as_str())).take(most);
    others.map(|field| field.chars().take(longest).collect()).collect()
}

/// Names of the fields that are set and not in `honoured`, but devices.
pub fn unhonoured(resources: &Value, honoured: &[&str]) -> Vec<String> {
    let mut names = changed(resources.as_object().unwrap_or(&Map::new()), &Value::Null, honoured);
    names.retain(|name| name != DEVICES);
    names
}

/// False for what Go's encoder writes of a field that nobody set.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(value) => value.as_f64() != Some(0.0),
        Value::String(value) => !value.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => fields.values().any(is_set),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn what_is_not_set_or_not_new_is_no_change() {
        let given =
            json!({"cpu": {"shares": 2, "cpus": "0"}, "devices": [{"allow": false, "access": "rwm"}]});
        let wanted = json!({
            "cpu": {"shares": 2, "quota": 0, "cpus": "1", "mems": ""},
            "memory": {"limit": 0, "disableOOMKiller": false},
            "pids": {},
            "blockIO": {"weightDevice": []},
            "unified": null,
            "devices": [{"allow": false, "access": "rwm"}],
        });
        assert_eq!(changed(&map(wanted), &given, &["cpu.cpus"]), [""; 0]);
        assert_eq!(changed(&map(given.clone()), &Value::Null, &["cpu.cpus"]), ["cpu.shares", "devices"]);
        assert_eq!(unhonoured(&given, &["cpu.cpus"]), ["cpu.shares"]);
        assert_eq!(unhonoured(&Value::Null, &[]), [""; 0]);
    }

    #[test]
    fn every_change_is_named() {
        let wanted = json!({
            "memory": {"limit": 1, "swap": -1},
            "network": {"priorities": [{"name": "eth0"}]},
            "unified": {"memory.high": "1"},
            "cpu": 7,
            "hugepageLimits": [{}],
            "frob": true,
        });
        let names = changed(&map(wanted), &json!({"memory": {"limit": 2}}), &[]);
        let expected = [
            "cpu",
            "frob",
            "hugepageLimits",
            "memory.limit",
            "memory.swap",
            "network.priorities",
            "unified.memory.high",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn names_are_bounded() {
        let many: Map<String, Value> =
            (0..100).map(|n| (format!("{n}{}", "x".repeat(9999)), json!(1))).collect();
        let names = changed(&many, &Value::Null, &[]);
        assert_eq!(names.len(), NAMED.0);
        assert!(names.iter().all(|name| name.len() == NAMED.1));
    }

    #[test]
    fn an_update_changes_what_it_sets() {
        let given = json!({"cpu": {"shares": 2, "cpus": "0"}, "memory": null});
        let wanted = map(json!({"cpu": {"cpus": "1", "shares": 0}, "memory": {"limit": 7}, "pids": {}}));
        let expected = json!({"cpu": {"shares": 2, "cpus": "1"}, "memory": {"limit": 7}});
        assert_eq!(merged(&given, &wanted), expected);
        assert_eq!(merged(&Value::Null, &Map::new()), json!({}));
    }

    #[test]
    fn only_resources_are_resources() {
        assert_eq!(Oci::parse(&Value::Null).expect("none"), Oci::default());
        let oci = Oci::parse(&json!({"cpu": {"quota": -1}, "memory": null, "unified": {"a": "b"}}));
        assert_eq!(oci.expect("resources").cpu.expect("cpu").quota, Some(-1));
        for wrong in [json!(7), json!({"cpu": 7}), json!({"cpu": {"shares": -1}})] {
            let error = Oci::parse(&wrong).expect_err("no resources").to_string();
            assert!(
                error.starts_with("resources are not what oci calls linux resources: invalid"),
                "{error}"
            );
        }
    }
}
