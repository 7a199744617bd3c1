//! Whether an image keeps what its labels promise, runs on its board, and suits a policy.

use std::fmt;
use std::io;

use firmware::board::Board;
use firmware::client_conf::{ClientConf, Key, Pedestal};
use firmware::elf::{Elf, ElfError};
use firmware::{label, layout};
use serde::Serialize;

use crate::bundle::{MACHINE, check_cpu};
use crate::facts::Firmware;
use crate::fit;
use crate::image::Image;
use crate::subject::Subject;
use crate::text::printable;

/// What the caller demands beyond the rules of the shim.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The board that the image must be for; the one of its label if absent.
    pub board: Option<Board>,
    /// Labels that must be there, and what they must be.
    pub require: Vec<(String, Option<String>)>,
    /// There must be a signature.
    pub signed: bool,
    /// Doubts count as failures.
    pub strict: bool,
}

/// The outcome of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Nothing failed, and nothing is in doubt if the policy is strict.
    pub holds: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// It cannot be told, or works in some places only.
    Doubtful,
    /// Not as it should be.
    Failed,
}

use Outcome::{Doubtful, Failed, Passed};

/// Checks a subject. What was read of an image has proven its digests already: [`crate::subject::open`] refuses others.
pub fn verify(subject: &Subject, policy: &Policy) -> io::Result<Verdict> {
    let (facts, elf) = Firmware::of(&subject.firmware)?;
    let board = board_of(subject, policy);
    let mut checks = vec![firmware(&elf)];
    // Refused firmware cannot be fitted.
    if let Ok(elf) = elf {
        let table = subject.firmware.short_part(&elf.resource_table().file).map_err(io::Error::other)?;
        checks.push(suits(&elf, &table, &board));
    }
    if let Some(image) = &subject.image {
        checks.extend(of_image(image, subject, &facts));
        checks.extend(board.ok().and_then(|board| cpu(subject, &board)));
        checks.extend(signature(image, policy.signed));
        checks.extend(policy.require.iter().map(|(key, value)| required(image, key, value.as_deref())));
    }
    let bad = |check: &Check| check.outcome == Failed || (policy.strict && check.outcome == Doubtful);
    Ok(Verdict { holds: !checks.iter().any(bad), checks })
}

fn check(check: &'static str, outcome: Outcome, found: impl Into<String>) -> Check {
    Check { check, outcome, found: found.into() }
}

fn firmware(elf: &Result<Elf, ElfError>) -> Check {
    match elf {
        Ok(_) => check("firmware", Passed, "the shim accepts it"),
        Err(why) => check("firmware", Failed, why.to_string()),
    }
}

/// The value of a label: other builders write annotations only.
fn labelled<'a>(image: &'a Image, key: &str) -> Option<&'a str> {
    image.labels.get(key).or_else(|| image.annotations.get(key)).map(String::as_str)
}

/// The board that counts; an error is what the check of the board finds.
fn board_of(subject: &Subject, policy: &Policy) -> Result<Board, Check> {
    let name = subject.image.as_ref().and_then(|image| labelled(image, label::BOARD));
    match (&policy.board, name) {
        (Some(board), Some(name)) if board.name != name => {
            Err(check("board", Failed, format!("the image is for {name:?}, it must be for {}", board.name)))
        }
        (Some(board), _) => Ok(board.clone()),
        (None, Some(name)) => Board::by_name(name)
            .map_err(|why| check("board", Failed, format!("label {}: {why}", label::BOARD))),
        (None, None) => Err(check("board", Doubtful, "none is named, by a label or by --board")),
    }
}

fn suits(elf: &Elf, table: &[u8], board: &Result<Board, Check>) -> Check {
    let board = match board {
        Ok(board) => board,
        Err(unknown) => return unknown.clone(),
    };
    let segments = board.fits(elf).map_err(|why| why.to_string());
    match segments.and_then(|()| fit::fits(board, table).map_err(|why| why.to_string())) {
        Ok(()) => check("board", Passed, format!("it fits {}", board.name)),
        Err(why) => check("board", Failed, why),
    }
}

fn of_image(image: &Image, subject: &Subject, facts: &Firmware) -> [Check; 5] {
    let conf = |key| subject.valid_conf().and_then(|conf| Some((key, conf.get(key)?)));
    [
        checksum(image, "crc-32", label::FIRMWARE_CRC32, &facts.crc32, conf(Key::FirmwareCrc32)),
        checksum(image, "sha-256", label::FIRMWARE_HASH, &facts.sha256, conf(Key::FirmwareSha256)),
        client_conf(subject),
        labels(image, subject),
        entrypoint(image),
    ]
}

/// What the label and `client.conf` say; the shim goes by the latter.
fn checksum(
    image: &Image,
    name: &'static str,
    label: &str,
    actual: &str,
    conf: Option<(Key, String)>,
) -> Check {
    // In `client.conf` the key alone says which hash it is.
    let is_other = |said: &String| actual.strip_prefix("sha256:").unwrap_or(actual) != said;
    if let Some((key, said)) = conf.filter(|(_, said)| is_other(said)) {
        return check(name, Failed, format!("{key} of client.conf says {said:?}, the firmware has {actual}"));
    }
    match labelled(image, label) {
        None => check(name, Doubtful, format!("the image has no label {label}")),
        Some(label) if label == actual => check(name, Passed, actual),
        Some(label) => check(name, Failed, format!("the label says {label:?}, the firmware has {actual}")),
    }
}

fn client_conf(subject: &Subject) -> Check {
    let name = "client.conf";
    match &subject.client_conf {
        None => check(name, Doubtful, format!("the image has no {}", layout::CLIENT_CONF)),
        Some(Err(why)) => check(name, Failed, why.to_string()),
        Some(Ok((_, warnings))) => match warnings.first() {
            Some(warning) => check(name, Doubtful, warning.to_string()),
            None => check(name, Passed, "it is valid"),
        },
    }
}

/// None if there is no valid `client.conf`, which another check tells.
fn cpu(subject: &Subject, board: &Board) -> Option<Check> {
    let conf = subject.valid_conf()?;
    Some(match check_cpu(conf, board) {
        Ok(()) => check("cpu", Passed, format!("{} suits the board", conf.cpu().unwrap_or("none"))),
        Err(why) => check("cpu", Failed, why.to_string()),
    })
}

/// Labels that repeat what the image has: they agree with it, and so do the annotations with the labels.
fn labels(image: &Image, subject: &Subject) -> Check {
    let conf = subject.valid_conf();
    let pedestal = conf.and_then(ClientConf::pedestal).map(Pedestal::as_str);
    let known = [
        (label::FIRMWARE_PATH, Some(subject.firmware_path.as_str())),
        (label::CLIENT_CONF_PATH, conf.map(|_| layout::CLIENT_CONF)),
        (label::FIRMWARE_MACHINE, Some(MACHINE)),
        (label::FIRMWARE_CPU, conf.and_then(ClientConf::cpu)),
        (label::PEDESTAL, pedestal),
    ];
    let lies = known.into_iter().find_map(|(key, actual)| {
        let label = labelled(image, key).filter(|label| Some(*label) != actual)?;
        Some(format!("label {key} is {label:?}, the image has {:?}", actual.unwrap_or_default()))
    });
    match lies.or_else(|| torn(image)) {
        Some(why) => check("labels", Failed, why),
        None => check("labels", Passed, "they agree with the image"),
    }
}

/// A label of ours that the annotations contradict.
fn torn(image: &Image) -> Option<String> {
    let ours = image.labels.iter().filter(|(key, _)| key.starts_with(label::PREFIX));
    let mut pairs = ours.filter_map(|(key, value)| Some((key, value, image.annotations.get(key)?)));
    let (key, label, annotation) = pairs.find(|(_, label, annotation)| label != annotation)?;
    Some(format!("{key} is {label:?} as a label and {annotation:?} as an annotation"))
}

fn entrypoint(image: &Image) -> Check {
    match image.entrypoint.first() {
        Some(program) if program.starts_with('/') => check("entrypoint", Passed, program),
        Some(program) => check("entrypoint", Doubtful, format!("{program:?} is not an absolute path")),
        None => check("entrypoint", Doubtful, "there is none, kubernetes refuses such an image"),
    }
}

/// Whether there is one. Whether it is good is for the tool that made it to say, which knows whom to trust.
fn signature(image: &Image, wanted: bool) -> Option<Check> {
    let found = image.referrers.iter().find(|referrer| referrer.is_signature());
    match found {
        Some(found) => Some(check("signature", Passed, format!("there is one, unproven: {}", found.kind))),
        None => wanted.then(|| check("signature", Failed, "there is none")),
    }
}

fn required(image: &Image, key: &str, value: Option<&str>) -> Check {
    match (labelled(image, key), value) {
        (None, _) => check("policy", Failed, format!("label {key} is required and missing")),
        (Some(label), Some(value)) if label != value => {
            check("policy", Failed, format!("label {key} is {label:?}, it must be {value:?}"))
        }
        (Some(label), _) => check("policy", Passed, format!("{key} is {label:?}")),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks.iter().try_for_each(|check| writeln!(f, "{check}"))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Passed => "ok",
            Doubtful => "doubtful",
            Failed => "FAILED",
        };
        write!(f, "{outcome:<8}  {:<11}  {}", self.check, printable(&self.found))
    }
}
