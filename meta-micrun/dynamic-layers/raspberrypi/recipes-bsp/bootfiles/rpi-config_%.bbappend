# The overlay that keeps a core and memory for firmware; micrun-image puts it on the boot partition.
RPI_EXTRA_CONFIG:append:raspberrypi4-64 = " ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', '\ndtoverlay=rpi4-remoteproc\n', '', d)}"
