SUMMARY = "In place of openEuler's mica command, which brings ready-made UniProton along"
LICENSE = "CLOSED"

inherit deploy

do_install[noexec] = "1"

do_deploy() {
	touch ${DEPLOYDIR}/uniproton.elf
}
addtask deploy after do_compile before do_build

ALLOW_EMPTY:${PN} = "1"
