SUMMARY = "In place of pseudo: this build is root, and files have the owners that they are written with"
LICENSE = "CLOSED"
PROVIDES = "virtual/fakeroot-native"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
do_compile[noexec] = "1"

do_install() {
	install -d ${D}${bindir}
	# Bitbake asks it to write down what it knows (-S), and otherwise to run a command.
	echo '#!/bin/sh' >${D}${bindir}/pseudo
	echo '[ "$1" = -S ] || exec "$@"' >>${D}${bindir}/pseudo
	chmod 0755 ${D}${bindir}/pseudo
}
