//! Hands the linker script to the firmware image; everything built for the host links as usual.

use std::env;

/// Where the image is to be linked, if not at its usual place, so that two can run at once.
const BASE: &str = "TEST_RTOS_BASE";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=image.ld");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo:rustc-link-arg-bins=-T{directory}/image.ld");
        println!("cargo:rerun-if-env-changed={BASE}");
        let of_raspberry = env::var_os("CARGO_FEATURE_RPI4").map(|_| "0x7b000000".to_owned());
        if let Some(base) = env::var(BASE).ok().or(of_raspberry) {
            println!("cargo:rustc-link-arg-bins=--defsym=rtos_base={base}");
        }
        // The default of 64 KiB would pad the file to several times its content.
        println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
    }
}
