SUMMARY = "In place of openEuler's shim in Go, which has this name, this file and these conditions"
LICENSE = "CLOSED"

inherit features_check

REQUIRED_DISTRO_FEATURES = "mcs containerd"

do_install() {
	install -d ${D}${bindir}
	echo '#!/bin/false' >${D}${bindir}/containerd-shim-mica-v2
	chmod 0755 ${D}${bindir}/containerd-shim-mica-v2
}

python () {
    if "micrun" not in (d.getVar("MCS_FEATURES") or "").split():
        raise bb.parse.SkipRecipe("MCS_FEATURES has no micrun")
}
