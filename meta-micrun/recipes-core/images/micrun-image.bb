SUMMARY = "A board that runs RTOS containers"
DESCRIPTION = "The smallest system with containerd, micrun and, at first boot, the images of MICRUN_IMAGE_FIRMWARE."
LICENSE = "Apache-2.0"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "micrun"

# Recipes that inherit micrun-firmware.
MICRUN_IMAGE_FIRMWARE ?= "micrun-firmware-hello"

IMAGE_FEATURES += "ssh-server-dropbear"
IMAGE_INSTALL = " \
    packagegroup-core-boot \
    packagegroup-micrun \
    ${MICRUN_IMAGE_FIRMWARE} \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

# For a few container images beside those that came along.
IMAGE_ROOTFS_EXTRA_SPACE ?= "262144"
