//! The generated client behind blocking calls: a test does one thing at a time.

use std::path::Path;

use anyhow::{Context, Result};
use qemu_tests::DEADLINE;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::api::image_service_client::ImageServiceClient;
use crate::api::runtime_service_client::RuntimeServiceClient;

/// A connection to the Container Runtime Interface of one containerd.
#[derive(Debug)]
pub struct Cri {
    runtime: Runtime,
    channel: Channel,
}

impl Cri {
    /// Connects to the socket at `address`; every call ends in time, with an error if need be.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn connect(address: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::from_shared(format!("unix://{}", address.display()))?;
        let channel = runtime
            .block_on(endpoint.timeout(DEADLINE).connect())
            .with_context(|| address.display().to_string())?;
        Ok(Self { runtime, channel })
    }

    /// Calls the runtime service.
    ///
    /// # Errors
    /// What containerd answers: a [`Status`].
    pub fn call<T>(
        &self,
        method: impl AsyncFnOnce(&mut RuntimeServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut client = RuntimeServiceClient::new(self.channel.clone());
        self.runtime.block_on(method(&mut client)).map(Response::into_inner)
    }

    /// Calls the image service.
    ///
    /// # Errors
    /// As [`Cri::call`].
    pub fn call_images<T>(
        &self,
        method: impl AsyncFnOnce(&mut ImageServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut client = ImageServiceClient::new(self.channel.clone());
        self.runtime.block_on(method(&mut client)).map(Response::into_inner)
    }
}
