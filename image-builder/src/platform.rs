//! The platform of an image: the *host's*, for containerd unpacks no image of another. The processor of the
//! firmware is said by labels.

use std::fmt;
use std::str::FromStr;

/// Linux on an architecture by Go's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    architecture: &'static str,
}

/// Not a platform that containerd hosts of micrun have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "platform {0:?} is not supported, it must be linux/amd64 or linux/arm64 (that of the containerd host)"
)]
pub struct PlatformError(String);

impl Platform {
    /// The platform on which this program runs.
    pub fn host() -> Result<Platform, PlatformError> {
        Platform::from_rust(std::env::consts::ARCH)
    }

    /// Go's name of the architecture.
    pub fn architecture(self) -> &'static str {
        self.architecture
    }

    fn from_rust(architecture: &str) -> Result<Platform, PlatformError> {
        match architecture {
            "x86_64" => Ok(Platform { architecture: "amd64" }),
            "aarch64" => Ok(Platform { architecture: "arm64" }),
            other => Err(PlatformError(format!("linux/{other}"))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture)
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        match text {
            "linux/amd64" => Ok(Platform { architecture: "amd64" }),
            "linux/arm64" => Ok(Platform { architecture: "arm64" }),
            other => Err(PlatformError(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_of_containerd_hosts_are_known() {
        assert_eq!("linux/arm64".parse(), Platform::from_rust("aarch64"));
        assert_eq!("linux/amd64".parse(), Platform::from_rust("x86_64"));
    }

    #[test]
    fn others_are_refused() {
        for text in ["arm64", "linux/arm/v7", "zephyr/arm64", ""] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError(text.to_owned())));
        }
        assert_eq!(Platform::from_rust("riscv64"), Err(PlatformError("linux/riscv64".to_owned())));
    }
}
