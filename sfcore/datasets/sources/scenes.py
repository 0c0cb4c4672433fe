"""Rendered roads: ``scenes:600``, or ``scenes:600,seed=7`` for others, none of which are among those of another seed.

A frame, ``scenes:600,seed=7/000012``, is rendered when it is read, the same each time, and written nowhere. What a run
with a seed renders on its own (the option ``rendered``) are the scenes of that seed.
"""

from __future__ import annotations

import re
from pathlib import Path

from sfcore.datasets.made import MadeFrames
from sfcore.datasets.scenes.render import VERSION, render
from sfcore.datasets.source import SOURCES
from sfcore.drawing import Image
from sfcore.errors import InputError

PREFIX = "scenes:"
FIRST = 40_000_000  # of the renderer's own seeds, one a scene: far from those of training, scoring and samples
MOST = 10_000  # scenes of one seed
_NAME = re.compile(rf"{PREFIX}(?P<count>[0-9]{{1,9}})(?:,seed=(?P<seed>-?[0-9]{{1,18}}))?(?:/(?P<number>[0-9]{{6}}))?")


@SOURCES.register("scenes")
class RenderedScenes(MadeFrames):
    """Scenes by count and seed."""

    prefix = PREFIX
    what = "rendered scenes"
    advice = "name a source of such files, and set rendered=0 where a method asks for scenes"

    def listed(self, place: Path) -> list[Path] | None:
        count, _, number = _parsed(place)
        return [place / f"{each:06d}" for each in range(count)] if number is None else None

    def read(self, frame: Path) -> Image:
        return render(renderer_seed(frame)).image

    def content(self, frame: Path) -> bytes:
        """Not the pixels, whose last bits another machine may round otherwise."""
        return f"scene {renderer_seed(frame)} of renderer {VERSION}".encode()

    def file(self, frame: Path) -> None:
        return None


def renderer_seed(frame: Path) -> int:
    """What the renderer makes a frame from. Raises InputError: it is none of a rendered scene."""
    _, seed, number = _parsed(frame)
    if number is None:
        raise InputError(f"{frame} names several scenes: one is {frame}/000000")
    return FIRST + seed * MOST + number


def _parsed(place: Path) -> tuple[int, int, int | None]:
    """The count, the seed and, of a frame, the number of a scene."""
    match = _NAME.fullmatch(str(place))
    count, seed, number = (int(text) if text else None for text in match.groups()) if match else (None, None, None)
    if count is None or not 1 <= count <= MOST or (number or 0) >= count:
        raise InputError(
            f"{place} names no rendered scenes: write {PREFIX}COUNT or {PREFIX}COUNT,seed=N with 1 to {MOST:,} scenes, "
            f"such as {PREFIX}600,seed=7"
        )
    return count, seed or 0, number
