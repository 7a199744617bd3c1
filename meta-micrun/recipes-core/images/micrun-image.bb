SUMMARY = "A board that runs RTOS containers"
DESCRIPTION = "The smallest system with containerd, micrun and, at first boot, the images of MICRUN_IMAGE_FIRMWARE."
LICENSE = "Apache-2.0"

inherit core-image features_check micrun-board

REQUIRED_DISTRO_FEATURES = "micrun"

# Recipes that inherit micrun-firmware. The test RTOS is for these boards; what other boards run is the product's to say.
MICRUN_IMAGE_FIRMWARE ?= "${@'micrun-firmware-hello' if d.getVar('MICRUN_BOARD') in ('qemu-arm64', 'rpi4') else ''}"

# Their archives are deployed beside the image.
do_build[depends] += "${@' '.join('%s:do_micrun_deploy' % recipe for recipe in d.getVar('MICRUN_IMAGE_FIRMWARE').split())}"

IMAGE_FEATURES += "ssh-server-dropbear"
IMAGE_INSTALL = " \
    packagegroup-core-boot \
    packagegroup-micrun \
    ${MICRUN_IMAGE_FIRMWARE} \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

# The SDK has the image builder, for firmware that is built outside of bitbake.
TOOLCHAIN_HOST_TASK:append = " nativesdk-micrun-image-builder"

# For a few container images beside those that came along.
IMAGE_ROOTFS_EXTRA_SPACE ?= "262144"

# The Raspberry Pi's firmware applies it (dtoverlay in config.txt).
IMAGE_BOOT_FILES:append = " ${@'micrun/rpi4-remoteproc.dtbo;overlays/rpi4-remoteproc.dtbo' if d.getVar('MACHINE') == 'raspberrypi4-64' else ''}"
do_image_wic[depends] += "${@'micrun-overlays:do_deploy' if d.getVar('MACHINE') == 'raspberrypi4-64' else ''}"
