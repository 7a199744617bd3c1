SUMMARY = "In place of openEuler's group of the same name"
LICENSE = "CLOSED"

inherit packagegroup

RDEPENDS:${PN} = "mcsctl ${@bb.utils.contains('MCS_FEATURES', 'micrun', 'micrun', '', d)}"
