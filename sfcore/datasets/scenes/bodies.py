"""The bodies of vehicles: flat faces in a vehicle's own coordinates, built once for each kind and side seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

Outline = tuple[tuple[float, float], ...]

PAINT, SIDE, LAMP, SKY = range(4)  # materials whose colour a vehicle and its surroundings decide


@dataclass(frozen=True)
class Shape:
    """Silhouette of a kind of vehicle, in metres.

    Attributes:
        width: of the body.
        side: outline of the long side, (distance from the rear end, height).
        glass: outlines of its windows.
        waist, roof: (height, half width, distance from the rear) of the lower and upper edge of the cabin's end.
        roof_end: where the roof ends, distance from the rear.
        lamp: height of the lamps.
        box: a truck's box rather than a cabin.
    """

    width: float
    side: Outline
    glass: tuple[Outline, ...]
    waist: tuple[float, float, float]
    roof: tuple[float, float, float]
    roof_end: float
    lamp: float
    box: bool = False

    @property
    def length(self) -> float:
        return max(z for z, _ in self.side)

    @property
    def height(self) -> float:
        return max(y for _, y in self.side)


_SEDAN = ((0, 0.3), (0.02, 0.9), (0.2, 1.02), (0.75, 1.05), (1.35, 1.42), (2.7, 1.45), (3.5, 1.04), (4.5, 0.85))
_SUV = ((0, 0.35), (0, 1.05), (0.1, 1.15), (0.35, 1.68), (2.9, 1.72), (3.6, 1.15), (4.6, 1.0), (4.75, 0.35))
_VAN = ((0, 0.35), (0, 1.2), (0.05, 2.0), (0.25, 2.15), (4.0, 2.15), (4.7, 1.3), (5.2, 1.1), (5.3, 0.35))
_TRUCK = ((0, 0.9), (0, 3.5), (8, 3.5), (8, 2.9), (9.6, 2.9), (10, 1.4), (10.2, 0.5), (8, 0.5), (8, 0.9))

SHAPES: dict[str, Shape] = {
    "sedan": Shape(
        width=1.84,
        side=(*_SEDAN, (4.65, 0.3)),
        glass=(
            ((0.98, 1.05), (1.4, 1.35), (2, 1.38), (2, 1.05)),
            ((2.1, 1.05), (2.1, 1.38), (2.65, 1.38), (3.2, 1.05)),
        ),
        waist=(1.02, 0.82, 0.5),
        roof=(1.42, 0.60, 1.3),
        roof_end=2.7,
        lamp=0.84,
    ),
    "suv": Shape(
        width=1.94,
        side=_SUV,
        glass=(
            ((0.5, 1.14), (0.65, 1.58), (1.7, 1.6), (1.7, 1.14)),
            ((1.8, 1.14), (1.8, 1.6), (2.8, 1.62), (3.4, 1.14)),
        ),
        waist=(1.14, 0.88, 0.06),
        roof=(1.66, 0.70, 0.34),
        roof_end=2.9,
        lamp=0.96,
    ),
    "van": Shape(
        width=2.0,
        side=_VAN,
        glass=(((3.2, 1.25), (3.2, 1.85), (4.05, 1.85), (4.5, 1.25)),),
        waist=(1.2, 0.90, 0.02),
        roof=(2.1, 0.82, 0.14),
        roof_end=4.0,
        lamp=1.0,
    ),
    "truck": Shape(
        width=2.5,
        side=_TRUCK,
        glass=(((8.6, 1.8), (8.6, 2.5), (9.5, 2.5), (9.8, 1.8)),),
        waist=(0, 0, 0),
        roof=(0, 0, 0),
        roof_end=8.0,
        lamp=0.78,
        box=True,
    ),
}


@dataclass(frozen=True)
class Body:
    """Faces in the order in which they are drawn.

    Attributes:
        corners: (P, 3) across, height, distance from the near end, metres, of all faces one after another.
        spans: where each face begins and ends in ``corners``.
        colours: (F, 3) RGB of faces that have one of their own.
        materials: (F,) PAINT, SIDE, LAMP or SKY, or -1 for a face with a colour of its own.
        shades: (F, 1) factors on the colour.
    """

    corners: np.ndarray
    spans: tuple[tuple[int, int], ...]
    colours: np.ndarray
    materials: np.ndarray
    shades: np.ndarray


class _Builder:
    """Collects faces."""

    def __init__(self) -> None:
        self.faces: list[np.ndarray] = []
        self.looks: list[tuple[tuple[float, float, float], int, float]] = []

    def add(
        self, across: Any, height: Any, ahead: Any, material: int | tuple[float, float, float], shade: float = 1
    ) -> None:
        """Add a face; the coordinates of its corners broadcast against each other."""
        self.faces.append(np.stack(np.broadcast_arrays(*(np.asarray(c, float) for c in (across, height, ahead))), 1))
        own = (0.0, 0.0, 0.0) if isinstance(material, int) else material
        self.looks.append((own, material if isinstance(material, int) else -1, shade))

    def panel(self, half: Sequence[float] | float, low: float, high: float, material: Any, shade: float = 1) -> None:
        """Add an upright rectangle at the near end, between two heights; ``half`` its half width below and above."""
        below, above = (half, half) if isinstance(half, (int, float)) else half
        self.add([-below, below, above, -above], [low, low, high, high], 0, material, shade)

    def body(self) -> Body:
        colours, materials, shades = zip(*self.looks, strict=True)
        ends = np.cumsum([0] + [len(face) for face in self.faces]).tolist()
        return Body(
            np.concatenate(self.faces),
            tuple(pairwise(ends)),
            np.asarray(colours, float),
            np.asarray(materials),
            np.asarray(shades, float)[:, None],
        )


@lru_cache(maxsize=64)
def body(kind: str, oncoming: bool, side: int) -> Body:
    """The faces of a kind of vehicle that are seen from behind, or from the front when it is ``oncoming``.

    Args:
        side: the long side that shows: -1 its left, 1 its right, 0 neither.
    """
    shape, build = SHAPES[kind], _Builder()
    if side:
        _long_side(build, shape, oncoming, side * shape.width / 2)
    low = shape.side[0][1] + 0.15
    for wheel in (-1, 1):
        build.add(np.array([0.98, 0.72, 0.72, 0.98]) * shape.width / 2 * wheel, [0, 0, low, low], 0.3, (16, 16, 18))
    if shape.box:
        _box(build, shape)
    else:
        _cabin(build, shape, oncoming)
        _tail(build, shape, oncoming)
    for wing in (-1, 1):
        across = wing * (lamp_offset(shape) + np.array([0.15, -0.14, -0.10, 0.15]))
        build.add(across, shape.lamp + np.array([-0.12, -0.09, 0.06, 0.10]), 0, LAMP)
        build.add(across * 0.99, shape.lamp + np.array([0.02, 0.0, 0.03, 0.05]), 0, LAMP, 1.4)
    return build.body()


def lamp_offset(shape: Shape) -> float:
    """Half the distance between the lamps, metres."""
    return 0.8 * shape.width / 2


def _turned(shape: Shape, oncoming: bool, outline: Outline) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the near end and height of an outline; an oncoming vehicle is turned around."""
    z, y = np.asarray(outline, float).T
    return (shape.length - z if oncoming else z), y


def _long_side(build: _Builder, shape: Shape, oncoming: bool, x: float) -> None:
    """Body, sill, windows and wheels of the long side at ``x``."""
    z, y = _turned(shape, oncoming, shape.side)
    build.add(x * np.where((y > 1.2) & (not shape.box), 0.84, 1.0), y, z, SIDE)
    ends = np.array([0.2, shape.length - 0.2, shape.length - 0.2, 0.2])
    build.add(x, [0.32, 0.32, 0.5, 0.5], ends, SIDE, 0.6)
    for pane in shape.glass:
        z, y = _turned(shape, oncoming, pane)
        build.add(0.9 * x, y, z, (36, 42, 50))
    turn = np.linspace(0, 2 * np.pi, 14)
    for axle in (0.18 * shape.length, 0.8 * shape.length):
        for radius, tone in ((0.42, 11), (0.33, 27), (0.18, 86)):
            build.add(x, 0.33 + radius * np.sin(turn), axle + radius * np.cos(turn), (tone, tone, tone + 2))


def _cabin(build: _Builder, shape: Shape, oncoming: bool) -> None:
    """Roof, pillars and the window of the near end; the bonnet of an oncoming vehicle."""
    waist, roof = shape.waist, shape.roof
    marks = ((waist[2], 0.0), (roof[2], 0.0), (shape.roof_end, 0.0), (shape.roof_end + 0.8, 0.0))
    ends = _turned(shape, oncoming, marks)[0]
    low, high, back = (ends[3], ends[2], ends[1]) if oncoming else (ends[0], ends[1], ends[2])
    x, depth = np.array([-1, 1, 1, -1]), [low, high, high, low]
    build.add(x * roof[1] * 1.04, roof[0] + 0.04, [high, high, back, back], PAINT, 1.12)
    frame = np.array([-waist[1], -roof[1], roof[1], waist[1]])
    top, foot, span = roof[0], waist[0], roof[0] - waist[0]
    build.add(frame * 1.06, [foot, top + 0.04, top + 0.04, foot], depth, PAINT, 0.86)
    build.add(frame * 0.94, [foot + 0.04, top - 0.05, top - 0.05, foot + 0.04], depth, (38, 45, 53))
    gleam = [foot + 0.55 * span, top - 0.06, top - 0.06, foot + 0.62 * span]
    build.add(np.array([-1, -1, 1, 1]) * roof[1] * 0.94, gleam, high, SKY)
    if oncoming:
        build.add(x * waist[1], [foot, foot, foot - 0.15, foot - 0.15], [low, low, 0.05, 0.05], PAINT, 1.05)


def _tail(build: _Builder, shape: Shape, oncoming: bool) -> None:
    """The near end: boot or bonnet, bumper, grille, plate."""
    half, low = shape.width / 2, shape.side[0][1]
    top = shape.waist[0] - (0.12 if oncoming else 0)
    x = np.array([-0.94, -1, -0.98, -0.86, 0.86, 0.98, 1, 0.94]) * half
    y = [low, low + 0.25, top - 0.15, top + 0.03, top + 0.03, top - 0.15, low + 0.25, low]
    build.add(x, y, 0, PAINT, 0.82)
    build.panel((0.9 * half, 0.86 * half), top - 0.05, top + 0.03, PAINT, 1.1)
    build.panel((0.97 * half, 0.99 * half), low + 0.1, low + 0.27, PAINT, 0.62)
    build.panel((0.9 * half, 0.96 * half), low - 0.06, low + 0.1, (30, 30, 32))
    if oncoming:
        build.panel((0.5 * half, 0.55 * half), low + 0.24, low + 0.44, (26, 27, 30))
    build.panel(0.25, low + 0.33, low + 0.45, (196, 196, 190))


def _box(build: _Builder, shape: Shape) -> None:
    """A truck's doors, bumper bar and tyres."""
    half = shape.width / 2
    build.panel(half, 0.9, 3.5, PAINT, 0.84)
    for seam in (-1.2, 0.0, 1.2):
        build.add(seam + np.array([-0.02, 0.02, 0.02, -0.02]), [0.95, 0.95, 3.45, 3.45], 0, PAINT, 0.55)
    build.panel(0.95 * half, 0.55, 0.9, (38, 38, 40))
    for side in (-0.8, 0.8):
        build.add(side + np.array([-0.25, 0.25, 0.25, -0.25]), [0.05, 0.05, 0.6, 0.6], 0.1, (18, 18, 20))
