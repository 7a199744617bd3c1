//! Who may set a key, and who wins.

use super::*;

#[test]
fn the_table_is_in_the_order_of_its_keys() {
    for (index, spec) in TABLE.iter().enumerate() {
        assert_eq!(spec.key as usize, index, "{}", spec.name);
        assert!(spec.default.is_empty() || spec.kind.parse(spec.default).is_some(), "{}", spec.name);
        assert!(spec.node || !spec.is_the_nodes(), "{} can be set by nobody", spec.name);
    }
}

#[test]
fn every_key_can_be_set_where_it_has_a_name() {
    for place in Place::ALL {
        assert!(!place.keys().is_empty(), "{place:?}");
        for (spec, name) in place.keys() {
            let [(value, shows), _] = right(spec);
            let mut config = Config::new();
            place.set(&mut config, &name, value).expect(&name);
            assert_eq!(shown(&config, spec.key), shows, "{place:?} {name}");
            assert_eq!(config.level(spec.key), place.level(), "{place:?} {name}");
            let source = &config.entries[spec.key as usize].as_ref().expect("a value").source.place;
            assert!(source.ends_with(&place.says(&name)), "{place:?} {name}: {source}");
            assert_eq!(config.warnings, [""; 0], "{place:?} {name}");
        }
    }
}

#[test]
fn a_default_holds_until_somebody_says_otherwise() {
    let config = Config::new();
    for spec in &TABLE {
        let default = spec.kind.parse(spec.default).map(|value| value.to_string()).unwrap_or_default();
        assert_eq!(
            (shown(&config, spec.key), config.level(spec.key)),
            (default, Level::Default),
            "{}",
            spec.name
        );
    }
}

#[test]
fn whoever_is_nearer_to_the_container_wins_whatever_the_order() {
    let mut pairs = 0;
    for (far, near) in Place::ALL.iter().flat_map(|far| Place::ALL.iter().map(move |near| (*far, *near))) {
        for (spec, far_name) in far.keys().into_iter().filter(|_| far.level() < near.level()) {
            let Some(near_name) = near.names(spec).into_iter().next() else { continue };
            let [(near_value, shows), (far_value, _)] = right(spec);
            for first_far in [true, false] {
                let mut config = Config::new();
                let mut both = [(far, &far_name, far_value), (near, &near_name, near_value)];
                if !first_far {
                    both.reverse();
                }
                for (place, name, value) in both {
                    place.set(&mut config, name, value).expect(name);
                }
                assert_eq!(shown(&config, spec.key), shows, "{near:?} {near_name} over {far:?} {far_name}");
                assert_eq!(config.level(spec.key), near.level());
            }
            pairs += 1;
        }
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn what_is_the_nodes_alone_cannot_be_set_elsewhere() {
    for spec in TABLE.iter().filter(|spec| spec.is_the_nodes()) {
        let [(value, _), _] = right(spec);
        let mut config = Config::new();
        Place::Board.set(&mut config, spec.name, value).expect("usable");
        let warning =
            format!("board rpi4: line 1: {} sets nothing: it is for the node's own file", spec.name);
        assert_eq!(config.warnings, [warning]);
        for place in [Place::Pod, Place::Container, Place::FirstName] {
            let prefix = PREFIXES[usize::from(place == Place::FirstName)];
            place.set(&mut config, &format!("{prefix}{}", spec.name), value).expect("usable");
        }
        assert_eq!(config.level(spec.key), Level::Default, "{}", spec.name);
        assert_eq!(config.warnings.len(), 3, "both containers' are warned of: {:?}", config.warnings);
    }
}

#[test]
fn what_is_the_containers_alone_cannot_be_set_by_the_node() {
    for spec in TABLE.iter().filter(|spec| !spec.node) {
        let [(value, _), _] = right(spec);
        for place in [Place::Options, Place::File, Place::Board] {
            let mut config = Config::new();
            place.set(&mut config, spec.name, value).expect("usable");
            assert_eq!(config.level(spec.key), Level::Default, "{}", spec.name);
            let warning =
                format!("{} sets nothing: it is for the image or the container", place.says(spec.name));
            assert!(config.warnings[0].ends_with(&warning), "{:?}", config.warnings);
        }
    }
}

#[test]
fn todays_prefix_and_the_first_name_win() {
    let mut config = Config::new();
    let own = annotations(&[
        ("org.openeuler.micran.container.os", "old"),
        ("org.openeuler.micrun.container.os", "new"),
        ("org.openeuler.micrun.runtime.vcpu_pcpu_binding", "true"),
        ("org.openeuler.micrun.runtime.enable_vcpus_pinning", "false"),
    ]);
    config.add_annotations(Level::Container, &own).expect("usable");
    assert_eq!((config.text(Key::Os), config.is_on(Key::Pin)), (Some("new"), false));
}

#[test]
fn bare_metal_is_no_choice_of_a_pedestal() {
    let mut config = node("pedestal = \"micad\"").expect("usable");
    let said = annotations(&[("org.openeuler.micrun.ped.pedestal", "baremetal")]);
    config.add_annotations(Level::Container, &said).expect("usable");
    assert_eq!(config.text(Key::Pedestal), Some("micad"));
}

#[test]
fn the_listing_says_who_said_what() {
    let mut config = node("pedestal = \"qemu\"\nconsole.input_rate = 960\n").expect("usable");
    let own = annotations(&[("org.openeuler.micrun.container.os", "my rtos")]);
    config.add_annotations(Level::Container, &own).expect("usable");
    let listing = config.listing();
    assert_eq!(listing.lines().count(), TABLE.len());
    let words = |name: &str| -> Vec<&str> {
        listing.lines().find(|line| line.starts_with(name)).expect(name).split_whitespace().collect()
    };
    assert!(words("console.input_rate")[2].ends_with("/config.toml:"));
    assert_eq!(words("console.input_rate")[3..], ["line", "2:", "console.input_rate"]);
    assert_eq!(words("container.os")[1..3], ["\"my", "rtos\""]);
    assert_eq!(words("container.stop_timeout")[1..], ["10s", "default"]);
    assert_eq!(words("cpu")[1..], ["-", "-"]);
}
