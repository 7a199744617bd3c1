SUMMARY = "Configuration of micrun, containerd and Kubernetes for RTOS containers"
DESCRIPTION = "What a node needs beside the shim: which board it is, the runtime in containerd's configuration, a RuntimeClass \
and hints for the kubelet. A package of its own, so that a product can bring another."
SECTION = "admin"

require recipes-core/micrun/micrun-source.inc

inherit micrun-board features_check

REQUIRED_DISTRO_FEATURES = "micrun"

SRC_URI += "file://config.toml \
    file://containerd-config.toml \
    file://kubelet.yaml \
    file://micrun-2.toml \
    file://micrun-3.toml \
    file://runtimeclass.yaml \
"

# Version of containerd's configuration files: 2 up to containerd 1.7, 3 from 2.0.
MICRUN_CONTAINERD_CONFIG ?= "2"

# How cores are driven: what packagegroup-micrun or openEuler's MCS_FEATURES brings for it.
MICRUN_PEDESTAL ?= "${@'mcs' if d.getVar('MCS_FEATURES') else 'remoteproc'}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
	install -d ${D}${sysconfdir}/containerd/conf.d ${D}${datadir}/micrun
	sed 's/@VERSION@/${MICRUN_CONTAINERD_CONFIG}/' ${UNPACKDIR}/containerd-config.toml \
		>${D}${sysconfdir}/containerd/config.toml
	install -m 0644 ${UNPACKDIR}/micrun-${MICRUN_CONTAINERD_CONFIG}.toml ${D}${sysconfdir}/containerd/conf.d/micrun.toml
	install -d ${D}${sysconfdir}/micrun/boards
	sed 's/^#pedestal = .*/pedestal = "${MICRUN_PEDESTAL}"/' ${UNPACKDIR}/config.toml >${D}${sysconfdir}/micrun/config.toml
	for file in runtimeclass kubelet; do
		sed 's/@BOARD@/${MICRUN_BOARD}/' ${UNPACKDIR}/$file.yaml >${D}${datadir}/micrun/$file.yaml
	done
	install -m 0644 ${S}/board-configs/${MICRUN_BOARD}.toml ${D}${sysconfdir}/micrun/boards
}

# Apart, because a distribution or a product may have a file of that name.
PACKAGES =+ "${PN}-containerd"
FILES:${PN}-containerd += "${sysconfdir}/containerd/config.toml"
CONFFILES:${PN}-containerd = "${sysconfdir}/containerd/config.toml"
FILES:${PN} += "${datadir}/micrun"
CONFFILES:${PN} = " \
    ${sysconfdir}/containerd/conf.d/micrun.toml \
    ${sysconfdir}/micrun/boards/${MICRUN_BOARD}.toml \
    ${sysconfdir}/micrun/config.toml \
"
RRECOMMENDS:${PN} = "${PN}-containerd"
