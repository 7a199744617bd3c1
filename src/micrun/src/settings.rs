//! What a container's annotations, and its image, ask for beyond firmware and core.

mod duration;

use std::collections::BTreeMap;
use std::time::Duration;

use duration::MAX_DAYS;
use firmware::annotation;
use firmware::client_conf::{self, ClientConf, MAX_INPUT_RATE};

/// How long firmware may take to power itself off, unless an annotation says otherwise.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The idle limit of a container that asks for one without saying how long.
const AUTO_CLOSE: Duration = Duration::from_secs(30);
/// Most characters of a value that a message repeats.
const EXCERPT_LEN: usize = 40;

/// How a container is to be treated while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long firmware may take to power itself off before power is cut; `None` for ever.
    pub stop_timeout: Option<Duration>,
    /// How long the console may be silent before the container is ended; `None` for ever.
    pub auto_close: Option<Duration>,
    /// Most bytes of input per second; `None` for as many as the firmware takes.
    pub input_rate: Option<u32>,
}

/// An annotation has a value that it cannot have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {key} is {value:?}, it must be {right}")]
pub struct SettingError {
    key: &'static str,
    value: String,
    right: String,
}

impl Settings {
    /// Reads annotations; what they do not say, the image's `client.conf` may.
    pub fn read(
        annotations: &BTreeMap<String, String>,
        conf: Option<&ClientConf>,
    ) -> Result<Settings, SettingError> {
        let annotations = Annotations(annotations);
        let image_rate = conf.and_then(ClientConf::console_input_rate);
        Ok(Settings {
            stop_timeout: not_zero(annotations.duration(annotation::STOP_TIMEOUT)?.unwrap_or(STOP_TIMEOUT)),
            auto_close: annotations.auto_close()?,
            input_rate: annotations.input_rate()?.or(image_rate),
        })
    }
}

struct Annotations<'a>(&'a BTreeMap<String, String>);

impl Annotations<'_> {
    /// The value of `key` as `parse` reads it; `right` says what it must be.
    fn value<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        right: impl FnOnce() -> String,
    ) -> Result<Option<T>, SettingError> {
        let Some(value) = annotation::find(self.0, key) else { return Ok(None) };
        let wrong = || SettingError { key, value: value.chars().take(EXCERPT_LEN).collect(), right: right() };
        parse(value).map(Some).ok_or_else(wrong)
    }

    fn duration(&self, key: &'static str) -> Result<Option<Duration>, SettingError> {
        let right = || format!("whole seconds or a duration such as 1m30s, at most {MAX_DAYS} days");
        self.value(key, duration::parse, right)
    }

    /// The time wins over the switch.
    fn auto_close(&self) -> Result<Option<Duration>, SettingError> {
        let right = || "true or false".to_owned();
        let on = self.value(annotation::AUTO_CLOSE, parse_bool, right)?.unwrap_or(false);
        let timeout = self.duration(annotation::AUTO_CLOSE_TIMEOUT)?;
        Ok(timeout.or(on.then_some(AUTO_CLOSE)).and_then(not_zero))
    }

    fn input_rate(&self) -> Result<Option<u32>, SettingError> {
        let right = || format!("a number of bytes per second from 1 to {MAX_INPUT_RATE}");
        self.value(annotation::INPUT_RATE, client_conf::parse_input_rate, right)
    }
}

/// Zero is the word for "never".
fn not_zero(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

/// The words of Go's `strconv.ParseBool`, in which the older micrun took them.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Result<Settings, String> {
        let of = |prefix: &str, (key, value): (&str, &str)| (format!("{prefix}{key}"), value.to_owned());
        let with = |prefix| annotations.iter().map(|pair| of(prefix, *pair)).collect();
        let [read, legacy] = ["org.openeuler.micrun.", "org.openeuler.micran."]
            .map(|prefix| Settings::read(&with(prefix), None).map_err(|error| error.to_string()));
        assert_eq!(read, legacy);
        read
    }

    const DEFAULT: Settings =
        Settings { stop_timeout: Some(STOP_TIMEOUT), auto_close: None, input_rate: None };

    #[test]
    fn nothing_is_limited_unless_asked_for() {
        assert_eq!(read(&[]), Ok(DEFAULT));
        assert_eq!(read(&[("container.auto_close", "false"), ("console.input_rate", " ")]), Ok(DEFAULT));
    }

    #[test]
    fn the_time_to_power_off() {
        let stop = |value| read(&[("container.stop_timeout", value)]).map(|settings| settings.stop_timeout);
        assert_eq!(stop("5"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(stop(" 1m30s "), Ok(Some(Duration::from_secs(90))));
        assert_eq!(stop("0"), Ok(None));
        let wrong = "annotation org.openeuler.micrun.container.stop_timeout is \"-1\", \
                     it must be whole seconds or a duration such as 1m30s, at most 365 days";
        assert_eq!(stop("-1"), Err(wrong.to_owned()));
    }

    #[test]
    fn a_time_to_close_wins_over_the_switch() {
        let close = |pairs: &[(&str, &str)]| read(pairs).map(|settings| settings.auto_close);
        let (switch, time) = ("container.auto_close", "container.auto_close_timeout");
        assert_eq!(close(&[(switch, "true")]), Ok(Some(AUTO_CLOSE)));
        assert_eq!(close(&[(switch, "true"), (time, "1h")]), Ok(Some(Duration::from_secs(3600))));
        assert_eq!(close(&[(switch, "f"), (time, "2")]), Ok(Some(Duration::from_secs(2))));
        assert_eq!(close(&[(switch, "T"), (time, "0")]), Ok(None));
        let error = close(&[(switch, "yes")]).expect_err("not a word");
        assert!(error.ends_with("container.auto_close is \"yes\", it must be true or false"), "{error}");
    }

    #[test]
    fn an_annotation_wins_over_the_image() {
        let conf = "[Mica]\nName=a\nClientPath=/a\n[Micrun]\nConsoleInputRate=960\n";
        let (conf, _) = ClientConf::parse(conf).expect("valid");
        let rate = |value: Option<&str>| {
            let pair = value.map(|value| (annotation::INPUT_RATE.to_owned(), value.to_owned()));
            Settings::read(&pair.into_iter().collect(), Some(&conf)).map(|settings| settings.input_rate)
        };
        assert_eq!(rate(None), Ok(Some(960)));
        assert_eq!(rate(Some("1000000")), Ok(Some(1_000_000)));
        for wrong in ["0", "1000001", "-1", "fast"] {
            let error = rate(Some(wrong)).expect_err(wrong).to_string();
            let right = "it must be a number of bytes per second from 1 to 1000000";
            let key = "org.openeuler.micrun.console.input_rate";
            assert_eq!(error, format!("annotation {key} is {wrong:?}, {right}"));
        }
    }
}
