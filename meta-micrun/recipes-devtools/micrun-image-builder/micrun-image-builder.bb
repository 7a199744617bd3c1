SUMMARY = "Makes reproducible OCI images of RTOS firmware"
DESCRIPTION = "micrun-image-builder packs firmware and its client.conf into an OCI image that micrun runs, checks that it fits \
its board, and shows, verifies and compares such images."
SECTION = "devel"

require recipes-core/micrun/micrun-source.inc

inherit micrun-rust

MICRUN_PACKAGE = "image-builder"
MICRUN_BINARY = "micrun-image-builder"

BBCLASSEXTEND = "native nativesdk"
