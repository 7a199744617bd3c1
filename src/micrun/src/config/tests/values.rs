//! Values of the wrong type, values out of bounds, units.

use super::*;

/// Values that no key of this type can have, as TOML writes them.
fn wrong(kind: Kind) -> Vec<String> {
    let words: &[&str] = match kind {
        Kind::Bool => &["\"maybe\"", "\"2\""],
        Kind::Time => &["\"-1\"", "\"soon\"", "\"1 h 30\"", "\"366h24m0.5x\"", "\"9000h\""],
        Kind::Number(_, most, _) => {
            return vec!["\"-1\"".into(), "\"many\"".into(), (u64::from(most) + 1).to_string()];
        }
        Kind::Memory => &["\"5 potatoes\"", "\"-1\"", "\"1.5GiB\"", "\"64M\"", "2147483648"],
        Kind::Cpus => &["\"3-1\"", "\"1024\"", "\"all\"", "\"1,\""],
        Kind::Text => &["\"a\\tb\""],
        Kind::Word(_) => &["\"none of them\""],
    };
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn wrong_values_are_refused_with_place_and_what_is_right() {
    for place in Place::ALL {
        for (spec, name) in place.keys() {
            for value in wrong(spec.kind) {
                // -1 is `client.conf`'s word for nothing, and only TOML has escapes.
                let is_none = place == Place::Image && value == "\"-1\"";
                if is_none || (value.contains('\\') && !place.is_typed()) {
                    continue;
                }
                let mut config = Config::new();
                let error =
                    place.set(&mut config, &name, &value).expect_err(&format!("{place:?} {name} {value}"));
                let error = error.to_string();
                assert_eq!(config.level(spec.key), Level::Default, "{place:?} {name} {value}");
                if place == Place::Image {
                    continue;
                }
                let text = value.trim_matches('"').replace("\\t", "\t");
                let ending = format!("{} is {text:?}, it must be {}", place.says(&name), spec.kind.right());
                assert!(error.ends_with(&ending), "{error}, not {ending}");
            }
        }
    }
}

#[test]
fn wrong_types_are_refused() {
    for place in Place::ALL.into_iter().filter(|place| place.is_typed()) {
        for (spec, name) in place.keys() {
            let quoted = |text: &str| format!("\"{}\"", text.trim_matches('"'));
            let [(value, _), _] = right(spec);
            let others: Vec<String> = match spec.kind {
                Kind::Bool => vec!["1".into(), quoted(value)],
                Kind::Number(..) => vec!["true".into(), quoted(value)],
                Kind::Time | Kind::Memory => vec!["true".into()],
                Kind::Cpus | Kind::Text | Kind::Word(_) => vec!["true".into(), "7".into()],
            };
            for other in others {
                let error = place.set(&mut Config::new(), &name, &other).expect_err(&name).to_string();
                let text = other.trim_matches('"');
                let ending = format!("{} is {text:?}, it must be {}", place.says(&name), spec.kind.right());
                assert!(error.ends_with(&ending), "{error}, not {ending}");
            }
        }
    }
    for (text, problem) in [
        ("pedestal = [\"qemu\"]", "line 1: \"pedestal\" is of type array, it must be a string"),
        ("pedestal = ", "line 1: not valid toml: "),
    ] {
        let error = node(text).expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

/// What people write, and what it is; of memory MiB.
fn written(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Bool => &[
            ("true", "true"),
            ("1", "true"),
            ("T", "true"),
            ("FALSE", "false"),
            ("f", "false"),
            ("no", "false"),
        ],
        Kind::Time => &[
            ("0", "0ns"),
            ("3", "3s"),
            ("1m30s", "90s"),
            ("1.5h", "5400s"),
            ("250ms", "250ms"),
            ("365", "365s"),
        ],
        Kind::Memory => &[("512", "512"), ("512MiB", "512"), ("2 GiB", "2048"), ("1536KiB", "1")],
        Kind::Cpus => &[("0", "0"), ("2,0-1", "0-2"), ("5,0", "0,5")],
        Kind::Number(..) | Kind::Text | Kind::Word(_) => &[],
    }
}

#[test]
fn units_are_understood_wherever_a_key_is_set() {
    for place in Place::ALL {
        for (spec, name) in place.keys() {
            for (text, shows) in written(spec.kind) {
                // `client.conf` counts memory in MiB and has two words for each answer; so has TOML.
                let unlike = match spec.kind {
                    Kind::Bool => place == Place::Image || place.is_typed(),
                    Kind::Memory => place == Place::Image,
                    _ => false,
                };
                if unlike {
                    continue;
                }
                let mut config = Config::new();
                let set = place.set(&mut config, &name, &format!("\"{text}\""));
                assert_eq!(set, Ok(()), "{place:?} {name} {text}");
                assert_eq!(shown(&config, spec.key), *shows, "{place:?} {name} {text}");
            }
        }
    }
}

#[test]
fn zero_is_never() {
    let config = node("container.stop_timeout = \"0s\"\nresources.max_memory = 0").expect("usable");
    assert_eq!((config.time(Key::StopTimeout), config.policy().node_max_memory), (None, None));
    let config = node("container.stop_timeout = 3").expect("seconds");
    assert_eq!(config.time(Key::StopTimeout), Some(Duration::from_secs(3)));
}

#[test]
fn the_core_is_one_number() {
    let with = |value| {
        let mut config = Config::new();
        let own = annotations(&[("org.openeuler.micrun.container.cpu", value)]);
        config.add_annotations(Level::Container, &own).expect("a text");
        config.cpu().map_err(|error| error.to_string())
    };
    assert_eq!((with("2"), with("0x3"), Config::new().cpu()), (Ok(Some(2)), Ok(Some(3)), Ok(None)));
    let wrong = "annotation org.openeuler.micrun.container.cpu is \"1-3\", it must be the number of one cpu";
    assert_eq!(with("1-3"), Err(wrong.to_owned()));
}
