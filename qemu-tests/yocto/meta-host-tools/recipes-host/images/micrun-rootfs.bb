SUMMARY = "micrun's packages with Debian's containerd"
DESCRIPTION = "A root file system that boots in QEMU and runs a container of the image that came with it."
LICENSE = "Apache-2.0"

inherit image

PACKAGE_INSTALL = "packagegroup-micrun micrun-firmware-hello self-test prebuilt-debian"
IMAGE_FSTYPES = "ext4 tar.gz"
IMAGE_LINGUAS = ""
IMAGE_ROOTFS_EXTRA_SPACE = "65536"
ROOTFS_BOOTSTRAP_INSTALL = ""
LDCONFIGDEPEND = ""
EXTRA_IMAGEDEPENDS = ""
# As openembedded-core's dpkg does, which Debian's does not: scripts of packages learn that they do not run on the board.
ROOTFS_PREPROCESS_COMMAND += "name_the_root"
IMGCLASSES:remove = "populate_sdk_ext"

deltask do_populate_sdk
deltask do_populate_sdk_ext

python name_the_root() {
    os.environ["D"] = d.getVar("IMAGE_ROOTFS")
}
