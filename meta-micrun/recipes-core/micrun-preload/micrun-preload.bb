SUMMARY = "Gives containerd the RTOS images of the root file system"
DESCRIPTION = "At boot, every image in /usr/share/micrun/images that containerd does not have is imported."
SECTION = "admin"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

inherit allarch features_check systemd update-rc.d

REQUIRED_DISTRO_FEATURES = "micrun"

SRC_URI = " \
    file://micrun-preload \
    file://micrun-preload.init \
    file://micrun-preload.service \
"

S = "${UNPACKDIR}"

# containerd's namespaces that get the images; add k8s.io for Kubernetes.
MICRUN_PRELOAD_NAMESPACES ?= "default"

SYSTEMD_SERVICE:${PN} = "micrun-preload.service"
INITSCRIPT_NAME = "micrun-preload"
INITSCRIPT_PARAMS = "defaults 90 10"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
	install -D -m 0755 ${UNPACKDIR}/micrun-preload ${D}${bindir}/micrun-preload
	install -d ${D}${sysconfdir}/default
	echo 'namespaces="${MICRUN_PRELOAD_NAMESPACES}"' >${D}${sysconfdir}/default/micrun-preload
	if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
		install -D -m 0644 ${UNPACKDIR}/micrun-preload.service ${D}${systemd_system_unitdir}/micrun-preload.service
	fi
	if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
		install -D -m 0755 ${UNPACKDIR}/micrun-preload.init ${D}${sysconfdir}/init.d/micrun-preload
	fi
}

CONFFILES:${PN} = "${sysconfdir}/default/micrun-preload"
# By name: which containerd there is decides the image.
RDEPENDS:${PN} = "virtual-containerd"
