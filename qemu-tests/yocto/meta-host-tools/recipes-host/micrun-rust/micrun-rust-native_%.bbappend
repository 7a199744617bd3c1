# The toolchain of the build machine, packed again as the Rust project packs it: the same files in archives of other bytes.
BB_STRICT_CHECKSUM = "0"

python () {
    for flag in list(d.getVarFlags("SRC_URI") or {}):
        if flag.endswith(".sha256sum"):
            d.delVarFlag("SRC_URI", flag)
}
