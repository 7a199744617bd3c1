SUMMARY = "Device tree overlays that keep memory and a core for firmware"
DESCRIPTION = "One for each way to drive the core: BOARD-remoteproc.dtbo for psci_rproc, BOARD-mcs.dtbo for openEuler's mcs_km. \
Their figures are those of board-configs/BOARD.toml, which cargo xtask boards holds against them."
SECTION = "bsp"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit micrun-board deploy features_check

REQUIRED_DISTRO_FEATURES = "micrun"

SRC_URI = " \
    file://${MICRUN_BOARD}-mcs.dtso \
    file://${MICRUN_BOARD}-remoteproc.dtso \
"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

INHIBIT_DEFAULT_DEPS = "1"
DEPENDS += "dtc-native"

do_configure[noexec] = "1"

do_compile() {
	for source in ${S}/${MICRUN_BOARD}-*.dtso; do
		dtc -@ -I dts -O dtb -o $(basename "$source" .dtso).dtbo "$source"
	done
}

do_install() {
	install -d ${D}${nonarch_base_libdir}/firmware/micrun
	install -m 0644 ${B}/*.dtbo ${D}${nonarch_base_libdir}/firmware/micrun
}

do_deploy() {
	install -d ${DEPLOYDIR}/micrun
	install -m 0644 ${B}/*.dtbo ${DEPLOYDIR}/micrun
}
addtask deploy after do_compile before do_build

FILES:${PN} += "${nonarch_base_libdir}/firmware/micrun"

# A board that is emulated alone has none.
python () {
    source = os.path.join(d.getVar("MICRUN_LAYERDIR"), "recipes-kernel/micrun-overlays/files", "%s-remoteproc.dtso" % d.getVar("MICRUN_BOARD"))
    bb.parse.mark_dependency(d, source)
    if not os.path.exists(source):
        raise bb.parse.SkipRecipe("board %s has no overlays" % d.getVar("MICRUN_BOARD"))
}
