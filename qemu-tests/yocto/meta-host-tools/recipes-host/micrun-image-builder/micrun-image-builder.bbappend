# C code needs a compiler for the target. It is the build machine's, and so are the headers, where it looks for them.
HOST_PREFIX:class-target = "aarch64-linux-gnu-"
HOST_PREFIX:class-nativesdk = ""
TOOLCHAIN_OPTIONS = ""
BASEDEPENDS:class-target = ""
BASEDEPENDS:class-nativesdk = ""
