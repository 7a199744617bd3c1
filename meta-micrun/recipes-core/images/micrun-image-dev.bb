require micrun-image.bb

SUMMARY = "A board that runs RTOS containers, for those who write them"
DESCRIPTION = "micrun-image with the image builder, tools to look into the system, and root without a password."

IMAGE_FEATURES += "allow-empty-password allow-root-login empty-root-password tools-debug"
IMAGE_INSTALL += "micrun-image-builder kernel-modules"
