//! What the commands that talk to a registry have in common.

use std::time::Duration;

use clap::Args;
use image_builder::registry::{Options, Registry};
use image_builder::remote::Remote;

/// How to talk to a registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Talk to the registry without TLS
    #[arg(long)]
    plain_http: bool,
    /// How long the registry may be silent, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl RegistryArgs {
    pub(crate) fn open(&self, remote: &Remote) -> Registry {
        Registry::new(
            remote,
            Options { plain_http: self.plain_http, timeout: Duration::from_secs(self.timeout) },
        )
    }
}
