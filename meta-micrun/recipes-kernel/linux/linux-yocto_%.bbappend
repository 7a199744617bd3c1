require recipes-kernel/linux/micrun-kernel.inc
