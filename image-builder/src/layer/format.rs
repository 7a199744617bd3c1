//! How a layer is packed.

use std::fmt;
use std::str::FromStr;

/// The form of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A plain tar file, so that the digest is the DiffID too.
    #[default]
    Tar,
    /// A tar file, packed by gzip.
    TarGzip,
    /// A tar file, packed by zstd.
    TarZstd,
    /// A file system image: containerd 2.1 and later, with its EROFS snapshotter.
    Erofs,
}

/// No such form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {0:?} is unknown, it must be tar, tar+gzip, tar+zstd or erofs")]
pub struct FormatError(String);

impl Format {
    const ALL: [Format; 4] = [Format::Tar, Format::TarGzip, Format::TarZstd, Format::Erofs];

    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Tar => "tar",
            Format::TarGzip => "tar+gzip",
            Format::TarZstd => "tar+zstd",
            Format::Erofs => "erofs",
        }
    }

    /// What manifests call it. For EROFS the name that containerd knows since 2.1.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Tar => "application/vnd.oci.image.layer.v1.tar",
            Format::TarGzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Format::TarZstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Format::Erofs => "application/vnd.oci.image.layer.v1.erofs",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Format, FormatError> {
        Format::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| FormatError(text.to_owned()))
    }
}
