"""Images distilled from a network's batch norms: ``distilled:64``, or ``distilled:64,zeroq,seed=7`` and the like.

Their names are known without a network, the images only once they were made for one, whose sign the name then has:
``distilled:64,of=0123456789ab/000012``. See :mod:`sfcore.distil`.
"""

from __future__ import annotations

import re
from pathlib import Path

from sfcore.datasets.distilled import PREFIX, Distilled
from sfcore.datasets.images import read_file
from sfcore.datasets.made import MadeFrames
from sfcore.datasets.source import SOURCES
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import read_bytes

_NUMBER = re.compile("[0-9]{6}")


@SOURCES.register("distilled")
class DistilledImages(MadeFrames):
    """Distilled images by count and settings."""

    prefix = PREFIX
    what = "distilled"
    advice = "name a source of such files"

    def listed(self, place: Path) -> list[Path] | None:
        what, number = _parsed(place)
        return what.frames if number is None else None

    def read(self, frame: Path) -> Image:
        return read_file(_made(frame))

    def content(self, frame: Path) -> bytes:
        return read_bytes(_made(frame), "image")

    def file(self, frame: Path) -> Path | None:
        what, number = _parsed(frame)
        return None if number is None or not what.of else what.file(number)


def _made(frame: Path) -> Path:
    """The file of a frame. Raises InputError: it has not been made, or was removed."""
    what, number = _parsed(frame)
    if number is None:
        raise InputError(f"{frame} names several images: one is {frame}/000000")
    if not what.of:
        raise InputError(
            f"{frame} is made for a network, and none is at hand here: write the images with 'sfcore distil NAME "
            f"--count {what.count} --out DIR' and name that folder; predictions are best judged on real frames"
        )
    if not (what.manifest.is_file() and what.file(number).is_file()):
        raise InputError(
            f"{frame} is no longer in the cache {what.folder}: name the source without 'of=' where the network is at "
            "hand, or write the images anew with 'sfcore distil'"
        )
    return what.file(number)


def _parsed(place: Path) -> tuple[Distilled, int | None]:
    """What a place says and, of a frame, its number."""
    what, (_, slash, number) = Distilled.parse(place), str(place).partition("/")
    if slash and not (_NUMBER.fullmatch(number) and int(number) < what.count):
        raise InputError(f"{place} is none of its {what.count} images: the first is {what.frames[0]}")
    return what, int(number) if slash else None
