//! Annotations of pods and containers.

use std::collections::BTreeMap;

use super::{Config, ConfigError, Level, Source, TABLE, retired};
use firmware::annotation::PREFIXES;
use firmware::text::excerpt;
use firmware::toml_file::nearest;

pub(super) fn read(
    config: &mut Config,
    level: Level,
    annotations: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let of_pod = if level == Level::Pod { " of the pod" } else { "" };
    for spec in &TABLE {
        let names = PREFIXES
            .iter()
            .flat_map(|prefix| spec.annotations.iter().map(move |name| format!("{prefix}{name}")));
        let found = names.filter_map(|key| annotations.get_key_value(&key));
        // Blanks around it do not count, and an empty value is none.
        if let Some((key, value)) = { found }.find(|(_, value)| !value.trim().is_empty()) {
            config.set(spec, value, Source { level, place: format!("annotation {key}{of_pod}") })?;
        }
    }
    // The pod's were looked at when they were the container's own.
    if level == Level::Container {
        let warnings = annotations.keys().filter_map(|key| warning(key));
        config.warnings.extend(warnings);
    }
    Ok(())
}

/// What is to be said of a key that sets nothing.
fn warning(key: &str) -> Option<String> {
    let name = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix))?;
    let known = || TABLE.iter().flat_map(|spec| spec.annotations.iter().copied());
    if known().any(|known| known == name) || retired::is_anothers(name) {
        return None;
    }
    let key = key.chars().take(128).collect::<String>();
    Some(match retired::annotation(name) {
        Some(answer) => format!("annotation {key} sets nothing: {answer}"),
        None => {
            let nearest = nearest(&excerpt(name), &known().collect::<Vec<_>>());
            format!("annotation {key} is unknown, did you mean {}{nearest}", PREFIXES[0])
        }
    })
}
