SUMMARY = "Device tree of the emulated board"
DESCRIPTION = "QEMU's own tree of its machine, with the overlay that keeps memory and a core for firmware."
SECTION = "bsp"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# The tree is QEMU's, the overlay that of micrun-overlays.
SRC_URI = ""

inherit deploy features_check

REQUIRED_DISTRO_FEATURES = "micrun"
COMPATIBLE_MACHINE = "micrun-qemu-arm64"
PACKAGE_ARCH = "${MACHINE_ARCH}"

S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

INHIBIT_DEFAULT_DEPS = "1"
DEPENDS += "dtc-native qemu-system-native"

do_configure[noexec] = "1"

do_compile() {
	qemu-system-aarch64 ${QB_MACHINE},dumpdtb=virt.dtb ${QB_CPU} ${QB_SMP} ${QB_MEM} -nodefaults -nographic
	# QEMU's tree has no labels; the overlay asks for this one.
	fdtput -p -t s virt.dtb /__symbols__ cpu3 /cpus/cpu@3
	fdtoverlay -i virt.dtb -o micrun-qemu-arm64.dtb ${DEPLOY_DIR_IMAGE}/micrun/qemu-arm64-remoteproc.dtbo
}
do_compile[depends] += "micrun-overlays:do_deploy"

do_deploy() {
	install -m 0644 ${B}/micrun-qemu-arm64.dtb ${DEPLOYDIR}
}
addtask deploy after do_compile before do_build
