# A kernel module needs a compiler for the target.
HOST_PREFIX = "aarch64-linux-gnu-"
CROSS_COMPILE = "aarch64-linux-gnu-"
INHIBIT_DEFAULT_DEPS = "1"
# Debian's headers are in two directories, of which the tree knows one: debugging information would hold this build's path.
EXTRA_OEMAKE += "KCFLAGS=-ffile-prefix-map=${MICRUN_KERNEL_COPY}="
