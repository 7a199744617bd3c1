SUMMARY = "Kernel module that gives one of Linux's own cores to firmware"
DESCRIPTION = "psci_rproc, a remoteproc driver for arm64: it takes a core from Linux, starts firmware on it by PSCI and brings \
it back (docs/reference/remoteproc.md)."
SECTION = "kernel"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=b234ee4d69f5fce4486a80fdaf4a4263"

PV = "0.1.0"

inherit module features_check

REQUIRED_DISTRO_FEATURES = "micrun"
COMPATIBLE_HOST = "aarch64.*-linux.*"

SRC_URI = " \
    file://COPYING \
    file://Kbuild \
    file://Makefile \
    file://psci_rproc.c \
    file://remoteproc_core.h \
"

S = "${UNPACKDIR}"

KERNEL_MODULE_AUTOLOAD += "psci_rproc"
RPROVIDES:${PN} += "kernel-module-psci-rproc"
