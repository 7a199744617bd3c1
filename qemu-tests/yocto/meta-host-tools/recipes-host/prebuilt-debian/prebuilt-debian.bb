SUMMARY = "containerd, busybox and the C library of Debian's arm64 packages"
LICENSE = "CLOSED"

SRC_URI = " \
    file://containerd \
    file://init \
"
# The directory that `cargo xtask yocto` unpacks the packages to.
MICRUN_PREBUILT ?= ""

S = "${UNPACKDIR}"
INHIBIT_DEFAULT_DEPS = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"
do_install[file-checksums] += "${MICRUN_PREBUILT}:True"

do_install() {
	cp -r --no-preserve=ownership ${MICRUN_PREBUILT}/. ${D}
	install -d ${D}/dev ${D}/proc ${D}/sys ${D}/run ${D}/tmp ${D}/root ${D}/sbin ${D}/var/log ${D}/var/lib
	ln -s busybox ${D}/bin/sh
	install -m 0755 ${UNPACKDIR}/init ${D}/sbin/init
	install -D -m 0755 ${UNPACKDIR}/containerd ${D}${sysconfdir}/init.d/containerd
}

PACKAGES = "${PN}"
FILES:${PN} = "/"
RPROVIDES:${PN} = "virtual-containerd initd-functions"
EXCLUDE_FROM_SHLIBS = "1"
INHIBIT_PACKAGE_STRIP = "1"
# It is as Debian built it.
INSANE_SKIP:${PN} = "already-stripped arch build-deps dev-so empty-dirs file-rdeps ldflags libdir textrel usrmerge"
