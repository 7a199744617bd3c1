SUMMARY = "In place of openEuler's Zephyr"
LICENSE = "CLOSED"

inherit deploy

do_install[noexec] = "1"

do_deploy() {
	touch ${DEPLOYDIR}/zephyr-image.elf
}
addtask deploy after do_compile before do_build

ALLOW_EMPTY:${PN} = "1"
