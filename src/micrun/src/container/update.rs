//! Update: of all resources, the host CPUs of an emulated core can be changed.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Container, Prepared, State};
use crate::bundle::Bundle;
use crate::error::Error;
use crate::pedestal::MachineError;
use crate::pedestal::cpus::Cpus;

const NO_CPUS: &str = "this container has no core that cpus could be chosen for";
/// Most fields that an error names, and most characters of a name.
const NAMED: (usize, usize) = (8, 48);

impl Container {
    /// Applies `resources`, OCI's `LinuxResources` in JSON: all of them or none. What is absent, empty, zero, or as the
    /// container was made with, changes nothing.
    pub fn update(&self, resources: &[u8]) -> Result<(), Error> {
        let wanted: Map<String, Value> = serde_json::from_slice(resources).map_err(Error::Resources)?;
        let wanted = Value::from(wanted);
        let others = changed(&wanted, &Bundle::open(&self.bundle)?.resources);
        if !others.is_empty() {
            return Err(Error::Fixed(others.join(", ")));
        }
        let cpus = wanted_cpus(&wanted)?;
        let _turn = self.turn();
        let control = {
            let mut inner = self.lock();
            match inner.state {
                State::Created => return remember(inner.prepared.as_mut(), cpus),
                State::Running | State::Paused => inner.control.clone(),
                state => {
                    let (action, needed) = ("update", "created, running or paused");
                    return Err(Error::State { id: self.id.clone(), action, state, needed });
                }
            }
        };
        let Some(cpus) = cpus else { return Ok(()) };
        Ok(control.ok_or(Error::Unsupported(NO_CPUS))?.pin(&cpus)?)
    }
}

/// Keeps the CPUs for Start.
fn remember(prepared: Option<&mut Prepared>, wanted: Option<Cpus>) -> Result<(), Error> {
    match (prepared, wanted) {
        (_, None) => {}
        (Some(Prepared::Core(core)), wanted) => core.cpus = wanted,
        (_, Some(_)) => return Err(Error::Unsupported(NO_CPUS)),
    }
    Ok(())
}

/// The host CPUs that `resources` ask for, if any.
pub(super) fn wanted_cpus(resources: &Value) -> Result<Option<Cpus>, Error> {
    let cpus = &resources["cpu"]["cpus"];
    if !is_set(cpus) {
        return Ok(None);
    }
    let list = String::deserialize(cpus).map_err(Error::Resources)?;
    Ok(Some(Cpus::parse(&list).map_err(MachineError::from)?))
}

/// Names of the fields other than `cpu.cpus` that `wanted` sets to something else than `given`, as far as they are to
/// be named. containerd's CRI service repeats all that the container was made with.
fn changed(wanted: &Value, given: &Value) -> Vec<String> {
    let groups = wanted.as_object().into_iter().flatten();
    let fields = groups.flat_map(|(group, value)| match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(field, value)| is_set(value) && given[group][field] != **value)
            .map(|(field, _)| format!("{group}.{field}"))
            .collect(),
        value if is_set(value) && given[group] != *value => vec![group.clone()],
        _ => Vec::new(),
    });
    let (most, longest) = NAMED;
    let others = fields.filter(|field| field != "cpu.cpus").take(most);
    others.map(|field| field.chars().take(longest).collect()).collect()
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
        assert_eq!(changed(&wanted, &given), [""; 0]);
        assert_eq!(changed(&given, &Value::Null), ["cpu.shares", "devices"]);
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
        let names = changed(&wanted, &json!({"memory": {"limit": 2}}));
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
        let names = changed(&many.into(), &Value::Null);
        assert_eq!(names.len(), NAMED.0);
        assert!(names.iter().all(|name| name.len() == NAMED.1));
    }
}
