"""Writes the smallest firmware that would run on the emulated board, but for its resource table: that asks for a carveout where
the board has no memory for firmware."""

import struct
import sys

BASE = 0x7A000000
ANY = 0xFFFFFFFF
OFFSET = 0x1000

VRINGS = b"".join(struct.pack("<5I", ANY, 4, 8, notify_id, 0) for notify_id in (0, 1))
VDEV = struct.pack("<6I4B", 3, 7, 2, 1, 0, 0, 0, 2, 0, 0) + VRINGS
CARVEOUT = struct.pack("<6I32s", 0, 0x10000000, ANY, 0x1000, 0, 0, b"frames")
TABLE = struct.pack("<6I", 1, 2, 0, 0, 24, 24 + len(VDEV)) + VDEV + CARVEOUT
# b .
CODE = struct.pack("<I", 0x14000000)
NAMES = b"\0.shstrtab\0.resource_table\0"

LOADED = CODE + TABLE
SECTIONS = OFFSET + len(LOADED) + len(NAMES)


def section(name, kind, address, offset, size):
    return struct.pack("<2I4Q2I2Q", name, kind, 0, address, offset, size, 0, 0, 1, 0)


HEADER = struct.pack(
    "<16s2HI3QI6H", b"\x7fELF\x02\x01\x01", 2, 183, 1, BASE, 64, SECTIONS, 0, 64, 56, 1, 64, 3, 1
)
SEGMENT = struct.pack("<2I6Q", 1, 7, OFFSET, BASE, BASE, len(LOADED), len(LOADED), 0x1000)

with open(sys.argv[1], "wb") as elf:
    elf.write((HEADER + SEGMENT).ljust(OFFSET, b"\0"))
    elf.write(LOADED + NAMES)
    elf.write(section(0, 0, 0, 0, 0))
    elf.write(section(1, 3, 0, OFFSET + len(LOADED), len(NAMES)))
    elf.write(section(11, 1, BASE + len(CODE), OFFSET + len(CODE), len(TABLE)))
