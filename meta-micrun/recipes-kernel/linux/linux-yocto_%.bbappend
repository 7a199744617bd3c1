# Where the feature is off, not even the text of a variable is another.
# nooelint: oelint.spaces.lineend - of what is required then, which is nothing
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'recipes-kernel/linux/micrun-kernel.inc', '', d)}
