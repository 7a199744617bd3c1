SUMMARY = "The headers of Debian's kernel, for modules"
LICENSE = "CLOSED"
PROVIDES = "virtual/kernel make-mod-scripts"

inherit deploy

INHIBIT_DEFAULT_DEPS = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"
# The directory that `cargo xtask kernel` unpacks headers and their programs to, and the kernel's release.
MICRUN_KERNEL ?= ""
MICRUN_KERNEL_RELEASE ?= ""

do_configure[noexec] = "1"
do_install[noexec] = "1"
do_shared_workdir[cleandirs] = "${MICRUN_KERNEL_COPY}"

# Headers name each other by absolute paths.
do_shared_workdir() {
	install -d ${MICRUN_KERNEL_COPY}/usr/lib
	cp -r --no-preserve=ownership ${MICRUN_KERNEL}/usr/src ${MICRUN_KERNEL_COPY}/usr
	cp -r --no-preserve=ownership ${MICRUN_KERNEL}/usr/lib/linux-kbuild-* ${MICRUN_KERNEL_COPY}/usr/lib
	sed -i 's,/usr/src/,${MICRUN_KERNEL_COPY}/usr/src/,' ${STAGING_KERNEL_BUILDDIR}/Makefile
	rm -f ${STAGING_KERNEL_BUILDDIR}/.kernelvariables
	printf '%s' ${MICRUN_KERNEL_RELEASE} >${STAGING_KERNEL_BUILDDIR}/kernel-abiversion
}
addtask shared_workdir after do_unpack before do_compile
addtask compile_kernelmodules after do_compile
do_compile_kernelmodules[noexec] = "1"

do_deploy() {
	:
}
addtask deploy after do_install

# The kernel itself is on no file system: QEMU gets it.
ALLOW_EMPTY:${PN} = "1"
RPROVIDES:${PN} = "kernel-${MICRUN_KERNEL_RELEASE}"
