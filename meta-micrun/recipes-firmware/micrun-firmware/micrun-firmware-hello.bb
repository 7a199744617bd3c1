SUMMARY = "micrun's test RTOS as a container image"
DESCRIPTION = "A small RTOS with a shell on its console: the hello world of micrun, for every board."
SECTION = "firmware"

require recipes-core/micrun/micrun-source.inc

inherit micrun-rust micrun-firmware features_check

REQUIRED_DISTRO_FEATURES = "micrun"
COMPATIBLE_HOST = "aarch64.*-linux.*"

MICRUN_TRIPLE = "aarch64-unknown-none-softfloat"
MICRUN_PACKAGE = "test-rtos"
MICRUN_BINARY = "test-rtos"
MICRUN_CARGO_FLAGS = "--features image"

MICRUN_FIRMWARE_ELF = "${MICRUN_PRODUCT}"
MICRUN_FIRMWARE_RECIPE = "${S}/recipes/test-rtos.toml"
MICRUN_FIRMWARE_NAME = "localhost/hello:${PV}"

# Firmware is a file of the image, not a program of the root file system.
do_install() {
	:
}
