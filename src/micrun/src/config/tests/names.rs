//! Names that nobody knows, and names of the older micrun.

use super::*;

/// Slips of the pen: a character left out, one twice, two the wrong way round.
fn misspelt(name: &str) -> Vec<String> {
    let at = name.len() - 2;
    let (first, last) = name.split_at(at);
    let mut swapped: Vec<char> = last.chars().collect();
    swapped.reverse();
    let all = [
        format!("{first}{}", &last[1..]),
        format!("{first}{first_of_last}{last}", first_of_last = &last[..1]),
    ];
    all.into_iter().chain([format!("{first}{}", swapped.into_iter().collect::<String>())]).collect()
}

#[test]
fn every_misspelt_name_is_a_warning_that_names_the_right_one() {
    for place in Place::ALL.into_iter().filter(|place| *place != Place::Image) {
        let keys = place.keys();
        for (spec, name) in &keys {
            for wrong in misspelt(name) {
                if keys.iter().any(|(_, name)| *name == wrong) {
                    continue;
                }
                let [(value, _), _] = right(spec);
                let mut config = Config::new();
                place.set(&mut config, &wrong, value).expect("usable");
                assert_eq!(config.level(spec.key), Level::Default, "{wrong}");
                if place == Place::Pod {
                    // It was said when the pod was made, whose own annotations they are.
                    assert_eq!(config.warnings, [""; 0]);
                    continue;
                }
                // The answer has today's prefix.
                let right = name.replacen(PREFIXES[1], PREFIXES[0], 1);
                let warning = format!("{} is unknown, did you mean {right}", place.says(&wrong));
                assert_eq!(config.warnings.len(), 1);
                assert!(config.warnings[0].ends_with(&warning), "{} not {warning}", config.warnings[0]);
            }
        }
    }
}

#[test]
fn a_wrong_table_is_named_with_its_line() {
    let config = node("[container]\nstop_timeout = 3\n[resource]\npin = true\n").expect("usable");
    let warning = "config.toml: line 4: resource.pin is unknown, did you mean resources.pin";
    assert!(config.warnings.len() == 1 && config.warnings[0].ends_with(warning), "{:?}", config.warnings);
    let mut config = Config::new();
    config.add_annotations(Level::Container, &annotations(&[("org.example.x", "y")])).expect("usable");
    assert_eq!(config.warnings, [""; 0], "it is somebody else's");
}

#[test]
fn names_of_the_older_micrun_are_answered() {
    let config = Node::new().write("micrun.conf", "[Xen]\nexclusive_dom0_cpu = true\n").read();
    let warnings = config.expect("usable").warnings;
    let answer = "exclusive_dom0_cpu sets nothing: resources.rtos_cpus says which cpus are for rtos";
    assert!(warnings[0].ends_with(answer), "{warnings:?}");
    let mut config = Config::new();
    let prefix = "org.openeuler.micrun.";
    let keys = [
        "config_path",
        "ped.compatibility",
        "compatibility.xen",
        "pkg.oci.bundle_path",
        "container.os_version",
    ];
    let own = keys.map(|key| format!("{prefix}{key}"));
    let own = annotations(&own.each_ref().map(|key| (key.as_str(), "x")));
    config.add_annotations(Level::Container, &own).expect("usable");
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("config_path sets nothing: a container does not choose"));
}
