//! All that is known of an image, or of firmware that is not packed yet, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use firmware::board::Board;
use firmware::client_conf::{ClientConf, Key};
use firmware::label;
use serde::Serialize;

use crate::facts::Firmware;
use crate::image::{Image, Referrer};
use crate::memory_map::MemoryMap;
use crate::oci::Labels;
use crate::subject::Subject;
use crate::text::printable;

/// A report. Displayed for people, serialised for machines.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The image, if it is one.
    pub image: Option<Image>,
    /// Path of the firmware in the image.
    pub firmware_path: Option<String>,
    /// The firmware.
    pub firmware: Firmware,
    /// `client.conf` of the image.
    pub client_conf: Option<Conf>,
    /// The board with the firmware in it; `None` if no board is known or the firmware is refused.
    pub memory_map: Option<MemoryMap>,
}

/// `client.conf`, or why it says nothing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conf {
    /// The keys that are set, in canonical form.
    Keys(BTreeMap<&'static str, String>),
    /// Why the shim would refuse it.
    Refused(String),
}

impl Report {
    /// Looks at a subject on `board`, or on the board that its label names.
    pub fn of(subject: &Subject, board: Option<Board>) -> io::Result<Report> {
        let (firmware, elf) = Firmware::of(&subject.firmware)?;
        let labelled = subject.image.as_ref().and_then(|image| image.labels.get(label::BOARD));
        let board = board.or_else(|| Board::by_name(labelled?).ok());
        let conf = subject.client_conf.as_ref();
        let cpu = subject.valid_conf().and_then(|conf| conf.single_cpu().ok()?);
        Ok(Report {
            image: subject.image.clone(),
            firmware_path: subject.image.as_ref().map(|_| subject.firmware_path.clone()),
            firmware,
            client_conf: conf.map(|conf| match conf {
                Ok((conf, _)) => Conf::Keys(keys(conf)),
                Err(why) => Conf::Refused(why.to_string()),
            }),
            memory_map: board.zip(elf.ok()).map(|(board, elf)| MemoryMap::of(&board, &elf, cpu)),
        })
    }
}

/// The keys that are set, and their values.
pub(crate) fn keys(conf: &ClientConf) -> BTreeMap<&'static str, String> {
    Key::ALL.into_iter().filter_map(|key| Some((key.as_str(), conf.get(key)?))).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(image) = &self.image {
            writeln!(f, "{}", Shown(image))?;
        }
        let path = self.firmware_path.as_deref().map(printable).unwrap_or_default();
        writeln!(f, "firmware {path}")?;
        write!(f, "{}", self.firmware)?;
        if let Some(conf) = &self.client_conf {
            write!(f, "\nclient.conf\n{conf}")?;
        }
        self.memory_map.as_ref().map_or(Ok(()), |map| write!(f, "\n{map}"))
    }
}

/// An image for people.
struct Shown<'a>(&'a Image);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(image) = self;
        writeln!(f, "image {}", printable(image.name.as_deref().unwrap_or("without a name")))?;
        writeln!(f, "  digest      {}", image.digest)?;
        writeln!(f, "  platform    {}", printable(&image.platform))?;
        if let Some(created) = &image.created {
            writeln!(f, "  created     {}", printable(created))?;
        }
        writeln!(f, "  entrypoint  {}", printable(&image.entrypoint.join(" ")))?;
        for layer in &image.layers {
            writeln!(
                f,
                "  layer       {}, {} bytes, {}",
                layer.digest,
                layer.bytes,
                printable(&layer.media_type)
            )?;
        }
        for Referrer { kind, digest } in &image.referrers {
            writeln!(f, "  referrer    {}, {}", printable(digest), printable(kind))?;
        }
        pairs(f, "labels", &image.labels)?;
        if image.annotations == image.labels {
            return writeln!(f, "\nannotations\n  the same");
        }
        pairs(f, "annotations", &image.annotations)
    }
}

fn pairs(f: &mut fmt::Formatter<'_>, title: &str, pairs: &Labels) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    if pairs.is_empty() {
        return writeln!(f, "  none");
    }
    pairs.iter().try_for_each(|(key, value)| writeln!(f, "  {} = {}", printable(key), printable(value)))
}

impl fmt::Display for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conf::Keys(keys) => {
                keys.iter().try_for_each(|(key, value)| writeln!(f, "  {key}={}", printable(value)))
            }
            Conf::Refused(why) => writeln!(f, "  refused  {}", printable(why)),
        }
    }
}
