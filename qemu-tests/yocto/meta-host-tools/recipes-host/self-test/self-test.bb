SUMMARY = "What the image does to test itself"
LICENSE = "CLOSED"

inherit allarch

SRC_URI = "file://test"

S = "${UNPACKDIR}"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
	install -D -m 0755 ${UNPACKDIR}/test ${D}${sysconfdir}/test
}
