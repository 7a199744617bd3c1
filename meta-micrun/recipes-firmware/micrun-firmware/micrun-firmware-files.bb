SUMMARY = "Firmware files of a directory as container images"
DESCRIPTION = "Packs every NAME.elf of MICRUN_FIRMWARE_DIR, a directory of the build machine, as localhost/NAME:TAG; by the \
recipe NAME.toml if that is beside it (docs/reference/image.md)."
SECTION = "firmware"
LICENSE = "CLOSED"

# What is packed is another recipe's, or a file of the build machine.
SRC_URI = ""

inherit micrun-firmware features_check

REQUIRED_DISTRO_FEATURES = "micrun"

MICRUN_FIRMWARE_DIR ?= ""
# Tag of the images.
MICRUN_FIRMWARE_TAG ?= "${PV}"

do_micrun_image[file-checksums] += "${@d.getVar('MICRUN_FIRMWARE_DIR') + ':True' if d.getVar('MICRUN_FIRMWARE_DIR') else ''}"

S = "${UNPACKDIR}"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_micrun_image() {
	for elf in ${MICRUN_FIRMWARE_DIR}/*.elf; do
		name=$(basename "$elf" .elf)
		set --
		[ ! -f "${elf%.elf}.toml" ] || set -- --recipe "${elf%.elf}.toml"
		micrun_bundle "localhost/$name:${MICRUN_FIRMWARE_TAG}" "$elf" "$name" "$@"
	done
}

python () {
    if not d.getVar("MICRUN_FIRMWARE_DIR"):
        raise bb.parse.SkipRecipe("no firmware: set MICRUN_FIRMWARE_DIR")
}
