"""Rendered sweeps: ``sweeps:64``, or ``sweeps:64,seed=7`` for others, or ``sweeps:64,beams=32`` of another scanner.

A frame, ``sweeps:64,seed=7/000012``, is rendered when it is read, the same each time, and written nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sfcore.datasets.lidar import SCANNERS, VERSION, Sweep, sweep
from sfcore.datasets.lidar.files import FORMATS
from sfcore.datasets.made import MadeFrames
from sfcore.datasets.source import SOURCES
from sfcore.errors import InputError

PREFIX = "sweeps:"
FIRST = 60_000_000  # of the renderer's own seeds, one a sweep: far from those of training and samples
MOST = 10_000  # sweeps of one seed
BEAMS = 64
_NAME = re.compile(
    rf"{PREFIX}(?P<count>[0-9]{{1,9}})(?:,seed=(?P<seed>[0-9]{{1,12}}))?(?:,beams=(?P<beams>[0-9]{{1,4}}))?"
    r"(?:/(?P<number>[0-9]{6}))?"
)


@SOURCES.register("sweeps")
class RenderedSweeps(MadeFrames):
    """Sweeps by count, seed and beams."""

    prefix = PREFIX
    what = "rendered sweeps"
    kind = "point clouds"
    formats = FORMATS[:1]  # not .npy, which others than sweeps are kept in too
    advice = "name a source of such files"

    def listed(self, place: Path) -> list[Path] | None:
        count, _, _, number = _parsed(place)
        return [place / f"{each:06d}" for each in range(count)] if number is None else None

    def read(self, frame: Path) -> np.ndarray:
        """(N, 4) float32, see :class:`sfcore.datasets.lidar.Sweep`."""
        return rendered(frame).points

    def content(self, frame: Path) -> bytes:
        """Not the points, whose last bits another machine may round otherwise."""
        seed, beams = _renderers(frame)
        return f"sweep {seed} of {beams} beams, renderer {VERSION}".encode()

    def file(self, frame: Path) -> None:
        return None


def rendered(frame: Path) -> Sweep:
    """A frame with its boxes. Raises InputError: it is none of a rendered sweep."""
    return sweep(*_renderers(frame))


def _renderers(frame: Path) -> tuple[int, int]:
    """The seed and the beams that the renderer makes a frame from."""
    _, seed, beams, number = _parsed(frame)
    if number is None:
        raise InputError(f"{frame} names several sweeps: one is {frame}/000000")
    return FIRST + seed * MOST + number, beams


def _parsed(place: Path) -> tuple[int, int, int, int | None]:
    """The count, the seed, the beams and, of a frame, the number of a sweep."""
    match = _NAME.fullmatch(str(place))
    numbers = {name: int(text) for name, text in match.groupdict().items() if text} if match else {}
    count, number, beams = numbers.get("count", 0), numbers.get("number"), numbers.get("beams", BEAMS)
    if not 1 <= count <= MOST or (number or 0) >= count or beams not in SCANNERS:
        allowed = f"{PREFIX}COUNT[,seed=N][,beams={'|'.join(map(str, SCANNERS))}]"
        raise InputError(
            f"{place} names no rendered sweeps: write {allowed} with 1 to {MOST:,} sweeps, such as {PREFIX}64,seed=7"
        )
    return count, numbers.get("seed", 0), beams, number
