SUMMARY = "What a board needs to run RTOS containers"
DESCRIPTION = "micrun, its configuration and kernel module, with a containerd and clients of it as options."

# The kernel module and the configuration are the machine's.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup features_check

REQUIRED_DISTRO_FEATURES = "micrun"

PACKAGECONFIG ??= " \
    containerd \
    ${@bb.utils.contains('BBFILE_COLLECTIONS', 'virtualization-layer', 'nerdctl', '', d)} \
    ${@'' if d.getVar('MCS_FEATURES') else 'remoteproc'} \
"
PACKAGECONFIG[containerd] = ",,,virtual-containerd"
PACKAGECONFIG[nerdctl] = ",,,nerdctl"
PACKAGECONFIG[k3s-agent] = ",,,k3s-agent"
PACKAGECONFIG[builder] = ",,,micrun-image-builder"
# The core's driver. openEuler's mcs_km is its tree's to choose (MCS_FEATURES).
PACKAGECONFIG[remoteproc] = ",,,kernel-module-psci-rproc micrun-overlays"

RDEPENDS:${PN} = " \
    micrun-conf \
    micrun-preload \
    micrun-shim \
"
