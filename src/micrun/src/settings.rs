//! How a container is treated while it runs.

use std::time::Duration;

use crate::config::{Config, Key};

/// The idle limit of a container that asks for one without saying how long.
const AUTO_CLOSE: Duration = Duration::from_secs(30);

/// How a container is to be treated while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long firmware may take to power itself off before power is cut; `None` for ever.
    pub stop_timeout: Option<Duration>,
    /// How long the console may be silent before the container is ended; `None` for ever.
    pub auto_close: Option<Duration>,
    /// Most bytes of input per second; `None` for as many as the firmware takes.
    pub input_rate: Option<u32>,
    /// Whether calls of the firmware reach the container's network.
    pub rpc_network: bool,
}

impl Settings {
    /// Takes them from the configuration.
    pub fn of(config: &Config) -> Settings {
        Settings {
            stop_timeout: config.time(Key::StopTimeout),
            auto_close: auto_close(config),
            input_rate: config.number(Key::InputRate),
            rpc_network: config.is_on(Key::RpcNetwork),
        }
    }
}

/// The time and the switch: whoever is nearer to the container wins, and where one says both, the time.
fn auto_close(config: &Config) -> Option<Duration> {
    let switch = config.is_on(Key::AutoClose).then_some(AUTO_CLOSE);
    if config.is_set(Key::AutoCloseTimeout)
        && config.level(Key::AutoCloseTimeout) >= config.level(Key::AutoClose)
    {
        config.time(Key::AutoCloseTimeout)
    } else {
        switch.map(|time| config.time(Key::AutoCloseTimeout).unwrap_or(time))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Level;
    use firmware::client_conf::ClientConf;

    fn of(pod: &[(&str, &str)], container: &[(&str, &str)], image: &str) -> Settings {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(key, value)| (format!("org.openeuler.micrun.{key}"), (*value).to_owned()))
                .collect()
        };
        let conf = format!("[Mica]\nName=a\nClientPath=/a\n[Micrun]\n{image}");
        let mut config = Config::new();
        config.add_image(&ClientConf::parse(&conf).expect("valid").0).expect("right");
        config.add_annotations(Level::Pod, &pairs(pod)).expect("right");
        config.add_annotations(Level::Container, &pairs(container)).expect("right");
        Settings::of(&config)
    }

    #[test]
    fn nothing_is_limited_unless_asked_for() {
        let default = Settings {
            stop_timeout: Some(Duration::from_secs(10)),
            auto_close: None,
            input_rate: None,
            rpc_network: false,
        };
        assert_eq!(of(&[], &[], ""), default);
        let off = [("container.auto_close", "false"), ("console.input_rate", " ")];
        assert_eq!(of(&[], &off, ""), default);
        assert_eq!(of(&[], &[("container.stop_timeout", "0")], "").stop_timeout, None);
    }

    #[test]
    fn a_time_to_close_wins_over_the_switch() {
        let (switch, time) = ("container.auto_close", "container.auto_close_timeout");
        let close = |pairs: &[(&str, &str)]| of(&[], pairs, "").auto_close.map(|time| time.as_secs());
        assert_eq!(close(&[(switch, "true")]), Some(30));
        assert_eq!(close(&[(switch, "true"), (time, "1h")]), Some(3600));
        assert_eq!(close(&[(switch, "f"), (time, "2")]), Some(2));
        assert_eq!(close(&[(switch, "T"), (time, "0")]), None);
    }

    #[test]
    fn a_switch_nearer_to_the_container_wins_over_the_time() {
        let off = [("container.auto_close", "false")];
        assert_eq!(of(&[], &off, "AutoCloseTimeout=5s").auto_close, None);
        let on = [("container.auto_close", "true")];
        assert_eq!(of(&on, &[], "AutoCloseTimeout=5s").auto_close, Some(Duration::from_secs(5)));
    }
}
