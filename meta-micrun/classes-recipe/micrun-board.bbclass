# Which of micrun's boards a machine is. What a board is stands in board-configs/BOARD.toml of the repository, and nowhere in
# this layer.

MICRUN_BOARDS[qemuarm64] = "qemu-arm64"
MICRUN_BOARDS[micrun-qemu-arm64] = "qemu-arm64"
MICRUN_BOARDS[qemu-aarch64] = "qemu-arm64"
MICRUN_BOARDS[raspberrypi4-64] = "rpi4"
MICRUN_BOARDS[hieulerpi] = "hieulerpi"
MICRUN_BOARDS[hieulerpi1] = "hieulerpi"
MICRUN_BOARDS[ok3568] = "ok3568"

MICRUN_BOARD ?= "${@d.getVarFlag('MICRUN_BOARDS', d.getVar('MACHINE')) or ''}"

PACKAGE_ARCH = "${MACHINE_ARCH}"

python () {
    if not d.getVar("MICRUN_BOARD"):
        raise bb.parse.SkipRecipe("machine %s is none of micrun's boards: set MICRUN_BOARD" % d.getVar("MACHINE"))
}
