SUMMARY = "micrun's test RTOS as a container image"
DESCRIPTION = "A small RTOS with a shell on its console: the hello world of micrun, for boards whose interrupt controller it \
knows."
SECTION = "firmware"

require recipes-core/micrun/micrun-source.inc

inherit micrun-rust micrun-firmware features_check

REQUIRED_DISTRO_FEATURES = "micrun"
COMPATIBLE_HOST = "aarch64.*-linux.*"

# The boards it is for, and how it is built for each (docs/reference/test-rtos.md).
MICRUN_HELLO_FEATURES[qemu-arm64] = "image"
MICRUN_HELLO_FEATURES[rpi4] = "image,rpi4,psci"

MICRUN_TRIPLE = "aarch64-unknown-none-softfloat"
MICRUN_PACKAGE = "test-rtos"
MICRUN_BINARY = "test-rtos"
MICRUN_CARGO_FLAGS = "--features ${@d.getVarFlag('MICRUN_HELLO_FEATURES', d.getVar('MICRUN_BOARD')) or ''}"

MICRUN_FIRMWARE_ELF = "${MICRUN_PRODUCT}"
MICRUN_FIRMWARE_RECIPE = "${S}/recipes/test-rtos.toml"
MICRUN_FIRMWARE_NAME = "localhost/hello:${PV}"

# Firmware is a file of the image, not a program of the root file system.
do_install() {
	:
}

python () {
    if not d.getVarFlag("MICRUN_HELLO_FEATURES", d.getVar("MICRUN_BOARD")):
        raise bb.parse.SkipRecipe("micrun's test RTOS does not know board %s" % d.getVar("MICRUN_BOARD"))
}
