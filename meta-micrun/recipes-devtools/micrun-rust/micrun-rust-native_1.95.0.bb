SUMMARY = "Rust toolchain that builds micrun"
DESCRIPTION = "The Rust project's own binaries for the build machine, with the standard libraries for static Linux programs \
and for firmware. The tree's Rust has neither of these targets, and is older than micrun needs in some series."
HOMEPAGE = "https://www.rust-lang.org"
SECTION = "devel"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = " \
    file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302 \
    file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10 \
"

MICRUN_BUILD_TRIPLE = "${BUILD_ARCH}-unknown-linux-gnu"
# A component is a directory of its archive; a standard library's is rust-std-TARGET.
MICRUN_RUST_TARGETS = " \
    ${MICRUN_BUILD_TRIPLE} \
    x86_64-unknown-linux-musl \
    aarch64-unknown-linux-musl \
    aarch64-unknown-none-softfloat \
"
MICRUN_RUST_SERVER ?= "https://static.rust-lang.org/dist"

SRC_URI = " \
    ${MICRUN_RUST_SERVER}/rustc-${PV}-${MICRUN_BUILD_TRIPLE}.tar.xz;name=rustc-${BUILD_ARCH} \
    ${MICRUN_RUST_SERVER}/cargo-${PV}-${MICRUN_BUILD_TRIPLE}.tar.xz;name=cargo-${BUILD_ARCH} \
    ${MICRUN_RUST_SERVER}/rust-std-${PV}-${MICRUN_BUILD_TRIPLE}.tar.xz;name=std-${BUILD_ARCH} \
    ${MICRUN_RUST_SERVER}/rust-std-${PV}-x86_64-unknown-linux-musl.tar.xz;name=std-x86_64-musl \
    ${MICRUN_RUST_SERVER}/rust-std-${PV}-aarch64-unknown-linux-musl.tar.xz;name=std-aarch64-musl \
    ${MICRUN_RUST_SERVER}/rust-std-${PV}-aarch64-unknown-none-softfloat.tar.xz;name=std-aarch64-none \
"
# From the release's channel manifest.
SRC_URI[rustc-x86_64.sha256sum] = "8426a3d170a5879f5682f5fbdd024a1779b3951e7baba685af2d6dc32a6dfc15"
SRC_URI[cargo-x86_64.sha256sum] = "e74edd2cf7d0f1f1383b4f00eb90c843750bc489e2ccf7214e6476678a907425"
SRC_URI[std-x86_64.sha256sum] = "047ea7098803d3500fa1072e9cee5392697e21525559e4458128a2bf874aa382"
SRC_URI[rustc-aarch64.sha256sum] = "0fe3689eeaed603e5ef24572d11597d3edadaefd2cb181674ad621260f2501d2"
SRC_URI[cargo-aarch64.sha256sum] = "7c070aeba9bbf12073646995a03f36c346bb5f541d0078ba6d9dc2a7adaaf6af"
SRC_URI[std-aarch64.sha256sum] = "3a21b271b1ff973b94d69b25e7a39992f9fbcae1ab6d9475844a23e6ad3908ac"
SRC_URI[std-x86_64-musl.sha256sum] = "aee540abf132920f791ef781489851a078d69dff493fb628d49c1d573f92bb3a"
SRC_URI[std-aarch64-musl.sha256sum] = "f6710416ed9a7d5cf2a15efa761eb79a1deeb43f9961bbe05cc97bec4ef9064a"
SRC_URI[std-aarch64-none.sha256sum] = "54d691468e25e7989b022a171337beadf78b5202877b312b75182b7f93efbb8b"

S = "${UNPACKDIR}/rustc-${PV}-${MICRUN_BUILD_TRIPLE}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
INHIBIT_SYSROOT_STRIP = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
	install -d ${D}${prefix}
	cp -r --no-preserve=ownership ${S}/rustc/bin ${S}/rustc/lib ${D}${prefix}
	cp -r --no-preserve=ownership ${UNPACKDIR}/cargo-${PV}-${MICRUN_BUILD_TRIPLE}/cargo/bin ${D}${prefix}
	for target in ${MICRUN_RUST_TARGETS}; do
		cp -r --no-preserve=ownership ${UNPACKDIR}/rust-std-${PV}-$target/rust-std-$target/lib ${D}${prefix}
	done
	# The list of files that the Rust project's installer would keep.
	rm -f ${D}${prefix}/lib/rustlib/manifest-* ${D}${prefix}/manifest.in
}

