SUMMARY = "In place of pseudo: this build is root"
LICENSE = "CLOSED"
PROVIDES = "virtual/fakeroot-native"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
do_compile[noexec] = "1"

do_install() {
	install -d ${D}${sysconfdir}
	echo root >${D}${sysconfdir}/fakeroot
}
