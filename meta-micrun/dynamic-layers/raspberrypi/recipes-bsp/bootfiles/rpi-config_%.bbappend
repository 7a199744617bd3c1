# nooelint: oelint.spaces.lineend - of what is required where the feature is off, which is nothing
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'micrun-rpi-config.inc', '', d)}
