SUMMARY = "containerd shim that runs an RTOS on a remote core as a container"
DESCRIPTION = "containerd-shim-mica-v2, which containerd starts for the runtime io.containerd.mica.v2: it boots the firmware of \
an OCI image on a remote core, connects its console to the container and reports how it ends. One static program."
SECTION = "admin"

require micrun-source.inc

inherit micrun-rust features_check

REQUIRED_DISTRO_FEATURES = "micrun"

MICRUN_PACKAGE = "micrun"
MICRUN_BINARY = "containerd-shim-mica-v2"

# Called by this name, the shim is the command that shows what is in effect.
do_install:append() {
	ln -s ${MICRUN_BINARY} ${D}${bindir}/micrun
}

PROVIDES += "micrun"

RDEPENDS:${PN} = "micrun-conf"
RPROVIDES:${PN} = "micrun"
RREPLACES:${PN} = "micrun"
RCONFLICTS:${PN} = "micrun"
