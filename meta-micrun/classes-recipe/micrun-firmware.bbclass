# Makes an OCI image of firmware that a recipe builds, or that another recipe deploys. The image is checked against the
# machine's board while building: firmware that does not fit fails here, with one line that says why, and not on the board.
#
# A recipe that builds firmware, or a bbappend of one, inherits this and says where the ELF file is:
#     MICRUN_FIRMWARE_ELF      the ELF file; needed
#     MICRUN_FIRMWARE_NAME     name of the image; localhost/BPN:PV
#     MICRUN_FIRMWARE_RECIPE   a file of recipes/ (docs/reference/image.md); none
#     MICRUN_FIRMWARE_ARGS     further arguments of micrun-image-builder bundle; none
#     MICRUN_FIRMWARE_PRELOAD  1: the image is in the root file system and is given to containerd at boot; 1
# One that packs what another recipe deploys also has
#     do_micrun_image[depends] += "zephyr-image:do_deploy"
# or, from another multiconfig,
#     do_micrun_image[mcdepends] += "mc::zephyr:zephyr-openamp-rsc-table:do_deploy"
# One with several images calls micrun_bundle for each of them in a do_micrun_image of its own.

inherit micrun-board

DEPENDS += "micrun-image-builder-native"

MICRUN_FIRMWARE_ELF ?= ""
MICRUN_FIRMWARE_NAME ?= "localhost/${BPN}:${PV}"
MICRUN_FIRMWARE_RECIPE ?= ""
MICRUN_FIRMWARE_ARGS ?= ""
MICRUN_FIRMWARE_PRELOAD ?= "1"

# The host's platform, not the firmware's: containerd unpacks no image of another one.
MICRUN_FIRMWARE_PLATFORM = "linux/${@{'aarch64': 'arm64', 'x86_64': 'amd64'}.get(d.getVar('TARGET_ARCH'), d.getVar('TARGET_ARCH'))}"

MICRUN_IMAGES_DIR = "${datadir}/micrun/images"
MICRUN_IMAGES_WORK = "${WORKDIR}/micrun-images"

# micrun_bundle NAME ELF FILE [ARGUMENT...]: packs ELF as the image NAME into FILE.tar, and writes its digest beside it.
micrun_bundle() {
	name="$1"
	elf="$2"
	file="${MICRUN_IMAGES_WORK}/$3"
	shift 3
	[ -f "$elf" ] || bbfatal "there is no firmware $elf: is MICRUN_FIRMWARE_ELF right?"
	# Standard error holds the reason in one line.
	said=$(micrun-image-builder bundle "$@" --firmware "$elf" --board "${MICRUN_BOARD}" --name "$name" \
		--platform "${MICRUN_FIRMWARE_PLATFORM}" --output "$file.tar" 2>"$file.error") || bbfatal "$(cat "$file.error")"
	cat "$file.error"
	rm "$file.error"
	# The last line is NAME DIGEST.
	echo "$said" | tail -n 1 >"$file.digest"
	bbnote "$said"
}

do_micrun_image() {
	micrun_bundle "${MICRUN_FIRMWARE_NAME}" "${MICRUN_FIRMWARE_ELF}" "${BPN}" \
		${@'--recipe ' + d.getVar('MICRUN_FIRMWARE_RECIPE') if d.getVar('MICRUN_FIRMWARE_RECIPE') else ''} \
		${MICRUN_FIRMWARE_ARGS}
}
do_micrun_image[cleandirs] = "${MICRUN_IMAGES_WORK}"
addtask micrun_image after do_compile before do_install

do_install:append() {
	if [ "${MICRUN_FIRMWARE_PRELOAD}" = "1" ]; then
		install -d ${D}${MICRUN_IMAGES_DIR}
		install -m 0644 ${MICRUN_IMAGES_WORK}/*.tar ${MICRUN_IMAGES_WORK}/*.digest ${D}${MICRUN_IMAGES_DIR}
	fi
}

# A task of its own: a recipe that deploys its ELF file by do_deploy keeps that.
MICRUN_DEPLOYDIR = "${WORKDIR}/deploy-micrun"

do_micrun_deploy() {
	install -d ${MICRUN_DEPLOYDIR}/micrun
	install -m 0644 ${MICRUN_IMAGES_WORK}/*.tar ${MICRUN_IMAGES_WORK}/*.digest ${MICRUN_DEPLOYDIR}/micrun
}
SSTATETASKS += "do_micrun_deploy"
do_micrun_deploy[cleandirs] = "${MICRUN_DEPLOYDIR}"
do_micrun_deploy[sstate-inputdirs] = "${MICRUN_DEPLOYDIR}"
do_micrun_deploy[sstate-outputdirs] = "${DEPLOY_DIR_IMAGE}"
do_micrun_deploy[stamp-extra-info] = "${MACHINE_ARCH}"

python do_micrun_deploy_setscene() {
    sstate_setscene(d)
}
addtask do_micrun_deploy_setscene
addtask micrun_deploy after do_micrun_image before do_build

FILES:${PN} += "${MICRUN_IMAGES_DIR}"
RDEPENDS:${PN} += "${@'micrun-preload' if d.getVar('MICRUN_FIRMWARE_PRELOAD') == '1' else ''}"
