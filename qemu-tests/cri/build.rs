//! Generates the client from the interface's definition; no `protoc` is needed.
//!
//! `proto/api.proto` is version 1 of Kubernetes' Container Runtime Interface (`k8s.io/cri-api`, Apache-2.0) without the
//! options of gogoproto, as the crate `k8s-cri` 0.11 packages it. It is not edited.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = protox::compile(["api.proto"], ["proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto/api.proto");
    Ok(())
}
