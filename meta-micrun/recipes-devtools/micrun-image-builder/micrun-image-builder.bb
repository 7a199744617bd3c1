SUMMARY = "Makes reproducible OCI images of RTOS firmware"
DESCRIPTION = "micrun-image-builder packs firmware and its client.conf into an OCI image that micrun runs, checks that it fits \
its board, and shows, verifies and compares such images."
SECTION = "devel"

require recipes-core/micrun/micrun-source.inc

inherit micrun-rust

# TLS and zstd have C code, which the tree's compiler translates with its C library's headers. The library that it is linked
# with is Rust's static musl, which has no checked variants of functions.
INHIBIT_DEFAULT_DEPS = ""
CFLAGS += "-U_FORTIFY_SOURCE"

MICRUN_PACKAGE = "image-builder"
MICRUN_BINARY = "micrun-image-builder"

BBCLASSEXTEND = "native nativesdk"
