"""Which way up a picture is: cameras store it as the sensor lies, and say in its EXIF data how to turn it.

The rules are OpenCV's, so that pixels are those that ``cv2.imread`` gives; they hold for any version of it and for all
formats, and the size of a picture is known without decoding it.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image

from sfcore.drawing import Image

UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)  # of which width and height change places
_TAG = 0x0112
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}  # how EXIF data begin, and the order of bytes in them


def orientation(path: Path, header: PIL.Image.Image) -> int:
    """The EXIF orientation of an image file, 1 to 8; UPRIGHT where it has none or one that means nothing.

    Args:
        header: the file as Pillow opens it.
    """
    exif = _png_chunk(path) if header.format == "PNG" else header.info.get("exif", b"")
    found = _orientation_in(exif.removeprefix(b"Exif\0\0"))
    return found if 1 <= found <= 8 else UPRIGHT


def upright(image: Image, turned: int) -> Image:
    """A picture as it should be seen.

    Args:
        image: (H, W, 3) as stored.
        turned: its EXIF orientation.

    Returns:
        (H, W, 3), or (W, H, 3) where it lay SIDEWAYS.
    """
    if turned in SIDEWAYS:
        image = image.transpose(1, 0, 2)
    down, across = turned in (3, 4, 7, 8), turned in (2, 3, 6, 7)
    return np.ascontiguousarray(image[:: -1 if down else 1, :: -1 if across else 1])


def _orientation_in(tiff: bytes) -> int:
    """The first orientation among the tags of the first directory, whatever type it claims to have; 0 for none."""
    if tiff[:4] not in _ORDERS:
        return 0
    order = _ORDERS[tiff[:4]]
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(f"{order}H6xH", tiff, place)
            if tag == _TAG:
                return int(value)
    except struct.error:  # cut short
        pass
    return 0


def _png_chunk(path: Path) -> bytes:
    """The first EXIF data of a PNG file. Pillow finds those behind the pixels only when it decodes."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return file.read(length)
            file.seek(length + 4, 1)
    return b""
