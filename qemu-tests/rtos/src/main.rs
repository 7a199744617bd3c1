//! The firmware image: the shell of this crate on a bare aarch64 core.
//!
//! Everything that touches the core lives in [`image`] and exists only when built for one.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod image;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("test-rtos is firmware: build it with --target aarch64-unknown-none-softfloat");
    std::process::ExitCode::FAILURE
}
