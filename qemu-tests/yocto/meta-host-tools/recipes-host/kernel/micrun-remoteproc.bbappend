# A kernel module needs a compiler for the target.
HOST_PREFIX = "aarch64-linux-gnu-"
CROSS_COMPILE = "aarch64-linux-gnu-"
INHIBIT_DEFAULT_DEPS = "1"
