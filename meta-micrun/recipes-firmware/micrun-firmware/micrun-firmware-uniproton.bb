SUMMARY = "UniProton as a container image"
DESCRIPTION = "Packs the UniProton that openEuler's mcsctl installs ready-made for the machine, or the ELF file of an SDK."
HOMEPAGE = "https://gitee.com/openeuler/UniProton"
SECTION = "firmware"
LICENSE = "MulanPSL-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MulanPSL-2.0;md5=74b1b7a7ee537a16390ed514498bf23c"

# What is packed is another recipe's, or a file of the build machine.
SRC_URI = ""

inherit micrun-firmware features_check

REQUIRED_DISTRO_FEATURES = "micrun"

# The recipe that deploys uniproton.elf, or the path of an ELF file of this build machine.
MICRUN_UNIPROTON_PROVIDER ?= "${@bb.utils.contains('BBFILE_COLLECTIONS', 'openeuler', 'mcsctl', '', d)}"
MICRUN_UNIPROTON_ELF ?= ""

MICRUN_FIRMWARE_ELF = "${@d.getVar('MICRUN_UNIPROTON_ELF') or d.expand('${DEPLOY_DIR_IMAGE}/uniproton.elf')}"
MICRUN_FIRMWARE_NAME = "localhost/uniproton:${PV}"
MICRUN_FIRMWARE_ARGS = "--rtos uniproton --licenses MulanPSL-2.0"
do_micrun_image[file-checksums] += "${@d.getVar('MICRUN_UNIPROTON_ELF') + ':True' if d.getVar('MICRUN_UNIPROTON_ELF') else ''}"

S = "${UNPACKDIR}"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

python () {
    provider = d.getVar("MICRUN_UNIPROTON_PROVIDER")
    if d.getVar("MICRUN_UNIPROTON_ELF"):
        return
    if not provider:
        raise bb.parse.SkipRecipe("no UniProton: set MICRUN_UNIPROTON_ELF or MICRUN_UNIPROTON_PROVIDER")
    d.appendVarFlag("do_micrun_image", "depends", " %s:do_deploy" % provider)
}
