SUMMARY = "Firmware that fits no board: it must not become an image"
LICENSE = "CLOSED"

SRC_URI = "file://misfit.py"

inherit micrun-firmware

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"
INHIBIT_DEFAULT_DEPS = "1"
do_configure[noexec] = "1"

MICRUN_FIRMWARE_ELF = "${B}/misfit.elf"

do_compile() {
	python3 ${UNPACKDIR}/misfit.py ${B}/misfit.elf
}
