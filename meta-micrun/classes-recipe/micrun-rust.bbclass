# Builds static programs out of the repository's workspace with the toolchain of micrun-rust-native, as
# `cargo xtask build` does: neither the tree's Rust, whose age and targets differ from series to series, nor its C library
# takes part.
#
# MICRUN_PACKAGE  cargo's package
# MICRUN_BINARY   the program
# A package with C code sets INHIBIT_DEFAULT_DEPS = "".

INHIBIT_DEFAULT_DEPS ?= "1"
DEPENDS += "micrun-rust-native"

# For which host systems there is a static target.
COMPATIBLE_HOST = "(aarch64|x86_64).*-linux.*"

MICRUN_TRIPLE ?= "${HOST_ARCH}-unknown-linux-musl"
MICRUN_BUILD_TRIPLE = "${BUILD_ARCH}-unknown-linux-gnu"
MICRUN_PRODUCT = "${B}/${MICRUN_TRIPLE}/release/${MICRUN_BINARY}"
MICRUN_CARGO_FLAGS ?= ""

B = "${WORKDIR}/build"
do_configure[cleandirs] = "${B}"

export CARGO_HOME = "${WORKDIR}/cargo-home"
export CARGO_TARGET_DIR = "${B}"
export RUST_BACKTRACE = "1"

do_configure() {
	install -d ${CARGO_HOME}
	cat > ${CARGO_HOME}/config.toml <<-CONFIG
		[source.crates-io]
		replace-with = "archive"
		[source.archive]
		directory = "${S}/vendor"
		[target.${MICRUN_BUILD_TRIPLE}]
		linker = "${BUILD_PREFIX}gcc"
		# Joined with the repository's own flags. Messages of panics would else hold the path of this build.
		[target.${MICRUN_TRIPLE}]
		rustflags = ["--remap-path-prefix=${S}=/usr/src/debug/micrun"]
	CONFIG
}

do_compile() {
	cd ${S}
	cargo build --verbose --frozen --release --target ${MICRUN_TRIPLE} \
		--package ${MICRUN_PACKAGE} --bin ${MICRUN_BINARY} ${MICRUN_CARGO_FLAGS}
}

do_install() {
	install -D -m 0755 ${MICRUN_PRODUCT} ${D}${bindir}/${MICRUN_BINARY}
}

# Cargo's release profile strips, so that the file is the one that was measured.
INSANE_SKIP:${PN} += "already-stripped"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
