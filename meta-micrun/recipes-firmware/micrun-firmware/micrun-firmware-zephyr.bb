SUMMARY = "Zephyr as a container image"
DESCRIPTION = "Packs the Zephyr application that another recipe builds and deploys: openEuler's zephyr-image, or one of \
meta-zephyr in a multiconfig of its own."
HOMEPAGE = "https://www.zephyrproject.org"
SECTION = "firmware"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# What is packed is another recipe's, or a file of the build machine.
SRC_URI = ""

inherit micrun-firmware features_check

REQUIRED_DISTRO_FEATURES = "micrun"

# The recipe that deploys Zephyr, in this configuration or in the multiconfig MICRUN_ZEPHYR_MC, and the file it deploys.
MICRUN_ZEPHYR_PROVIDER ?= "${@bb.utils.contains_any('BBFILE_COLLECTIONS', 'openeuler zephyrproject openeuler-rtos', 'zephyr-image', '', d)}"
MICRUN_ZEPHYR_MC ?= "${@bb.utils.filter('BBMULTICONFIG', 'micrun-zephyr', d)}"
MICRUN_ZEPHYR_DEPLOY_DIR ?= "${@'${TOPDIR}/deploy-micrun-zephyr' if d.getVar('MICRUN_ZEPHYR_MC') == 'micrun-zephyr' else '${DEPLOY_DIR_IMAGE}'}"
MICRUN_ZEPHYR_FILE ?= "${MICRUN_ZEPHYR_PROVIDER}.elf"
MICRUN_FIRMWARE_ELF = "${MICRUN_ZEPHYR_DEPLOY_DIR}/${MICRUN_ZEPHYR_FILE}"
MICRUN_FIRMWARE_NAME = "localhost/zephyr:${PV}"
MICRUN_FIRMWARE_ARGS = "--rtos zephyr --licenses Apache-2.0"

S = "${UNPACKDIR}"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

python () {
    provider = d.getVar("MICRUN_ZEPHYR_PROVIDER")
    multiconfig = d.getVar("MICRUN_ZEPHYR_MC")
    if not provider:
        raise bb.parse.SkipRecipe("no recipe for Zephyr: set MICRUN_ZEPHYR_PROVIDER")
    if multiconfig:
        d.appendVarFlag("do_micrun_image", "mcdepends", " mc::%s:%s:do_deploy" % (multiconfig, provider))
    else:
        d.appendVarFlag("do_micrun_image", "depends", " %s:do_deploy" % provider)
}
