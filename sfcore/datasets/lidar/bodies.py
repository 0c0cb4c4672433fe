"""The bodies of rendered sweeps: vehicles, people, bicycles, trees, poles and houses as a few prisms each.

A body that is labelled fills its box up to MARGIN on each side, as boxes that people draw do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfcore.datasets.lidar.prisms import Prism, moved, rectangle, ring

NAMES = ("vehicle", "pedestrian", "cyclist")
MARGIN = 0.05  # metres; more than twice the range noise
GLASS, DARK = 0.06, 0.07  # reflectance

Generator = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """A kind of labelled body.

    Attributes:
        name: of its class.
        share: how often it comes among those of its class.
        size: ((least, most), …) of length, width and height in metres.
        build: its prisms around the origin, heading along x, from the inner size, reflectance and a generator.
    """

    name: str
    share: float
    size: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    build: Callable[[np.ndarray, float, Generator], list[Prism]]


@dataclass(frozen=True)
class Body:
    """A labelled body in its place.

    Attributes:
        name: of its class.
        box: (7,) see :class:`sfcore.tasks.boxes3d.Boxes3d`.
        prisms: that it consists of.
    """

    name: str
    box: np.ndarray
    prisms: list[Prism]


def body(name: str, at: tuple[float, float, float, float], generator: Generator) -> Body:
    """A body of a class, of a kind and size that the generator draws.

    Args:
        at: x, y, z and yaw of the middle of its bottom.
    """
    kinds = [kind for kind in KINDS if kind.name == name]
    kind = kinds[generator.choice(len(kinds), p=[each.share for each in kinds])]
    size = np.array([generator.uniform(*limits) for limits in kind.size])
    x, y, z, yaw = at
    inner = size - [2 * MARGIN, 2 * MARGIN, MARGIN]
    prisms = kind.build(inner, float(generator.beta(1.3, 3) * 0.85 + 0.03), generator)
    placed = [Prism(moved(p.corners, x, y, yaw), p.low + z, p.high + z, p.reflectance, p.clear) for p in prisms]
    return Body(name, np.array([x, y, z + size[2] / 2, *size, yaw]), placed)


def _wheels(long: float, wide: float, radius: float, places: tuple[float, ...]) -> list[Prism]:
    return [
        Prism(rectangle(share * long, side * (wide / 2 - 0.12), 2 * radius, 0.22, 0), 0, 2 * radius, DARK)
        for share in places
        for side in (-1, 1)
    ]


def _car(size: np.ndarray, paint: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    rear = generator.uniform(-0.09, -0.03) * long  # how far the cabin sits behind the middle
    cabin = generator.uniform(0.58, 0.68) * long
    return [
        *_wheels(long, wide, 0.31, (-0.31, 0.31)),
        Prism(rectangle(0, 0, long, wide, 0, 0.28), 0.2, 0.42 * high, paint),
        Prism(rectangle(-0.01 * long, 0, 0.96 * long, 0.98 * wide, 0, 0.3), 0.42 * high, 0.61 * high, paint),
        Prism(rectangle(rear, 0, cabin, 0.9 * wide, 0, 0.2), 0.61 * high, 0.8 * high, GLASS, 0.55),
        Prism(rectangle(rear, 0, 0.86 * cabin, 0.82 * wide, 0, 0.2), 0.8 * high, 0.93 * high, GLASS, 0.4),
        Prism(rectangle(rear, 0, 0.72 * cabin, 0.76 * wide, 0, 0.2), 0.91 * high, high, paint),
    ]


def _van(size: np.ndarray, paint: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    return [
        *_wheels(long, wide, 0.33, (-0.32, 0.33)),
        Prism(rectangle(0, 0, long, wide, 0, 0.22), 0.25, 0.5 * high, paint),
        Prism(rectangle(-0.05 * long, 0, 0.88 * long, 0.96 * wide, 0, 0.15), 0.5 * high, 0.75 * high, 0.6 * paint, 0.2),
        Prism(rectangle(-0.09 * long, 0, 0.8 * long, 0.92 * wide, 0, 0.15), 0.75 * high, high, paint),
    ]


def _truck(size: np.ndarray, paint: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    cab = 2.0
    load = long - cab - 0.5
    return [
        *_wheels(long, wide, 0.48, (-0.38, -0.22, 0.36)),
        Prism(rectangle(long / 2 - cab / 2, 0, cab, 0.95 * wide, 0, 0.15), 0.4, 0.8 * high, paint),
        Prism(rectangle(0, 0, 0.98 * long, 0.4 * wide, 0), 0.55, 0.95, DARK),
        Prism(rectangle(load / 2 - long / 2, 0, load, wide, 0), 0.95, high, generator.uniform(0.2, 0.8)),
    ]


def _bus(size: np.ndarray, paint: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    return [
        *_wheels(long, wide, 0.48, (-0.28, 0.3)),
        Prism(rectangle(0, 0, long, wide, 0, 0.15), 0.3, 0.42 * high, paint),
        Prism(rectangle(0, 0, 0.99 * long, 0.98 * wide, 0, 0.15), 0.42 * high, 0.78 * high, GLASS, 0.3),
        Prism(rectangle(0, 0, 0.99 * long, 0.96 * wide, 0, 0.15), 0.78 * high, high, paint),
    ]


def _person(size: np.ndarray, cloth: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    stride = generator.uniform(0, 0.25) * long
    legs = [Prism(ring(side * stride, side * 0.1, 0.085), 0, 0.48 * high, cloth) for side in (-1, 1)]
    return [
        *legs,
        Prism(ring(0, 0, 0.3 * long, 0.46 * wide / (0.3 * long)), 0.46 * high, 0.66 * high, cloth),
        Prism(ring(0, 0, 0.26 * long, 0.48 * wide / (0.26 * long)), 0.66 * high, 0.84 * high, cloth),
        Prism(ring(0, 0, 0.11), 0.84 * high, high, 0.35),
    ]


def _rider(size: np.ndarray, cloth: float, generator: Generator) -> list[Prism]:
    long, wide, high = size
    wheel = 0.33
    return [
        Prism(rectangle(long / 2 - wheel, 0, 2 * wheel, 0.05, 0), 0, 2 * wheel, DARK, 0.55),
        Prism(rectangle(wheel - long / 2, 0, 2 * wheel, 0.05, 0), 0, 2 * wheel, DARK, 0.55),
        Prism(rectangle(0, 0, 0.55 * long, 0.07, 0), 0.35, 0.85, 0.3, 0.35),
        Prism(rectangle(0.25 * long, 0, 0.08, 0.9 * wide, 0), 0.95, 1.05, 0.3),
        *[Prism(ring(0.02 * long, side * 0.11, 0.09), 0.3, 0.58 * high, cloth) for side in (-1, 1)],
        Prism(ring(-0.04 * long, 0, 0.17, 0.42 * wide / 0.17), 0.55 * high, 0.72 * high, cloth),
        Prism(ring(0.04 * long, 0, 0.16, 0.44 * wide / 0.16), 0.72 * high, 0.87 * high, cloth),
        Prism(ring(0.08 * long, 0, 0.11), 0.86 * high, high, 0.3),
    ]


KINDS = (
    Kind("vehicle", 0.78, ((3.5, 5.0), (1.55, 1.95), (1.38, 1.75)), _car),
    Kind("vehicle", 0.14, ((4.6, 6.2), (1.85, 2.15), (1.9, 2.6)), _van),
    Kind("vehicle", 0.06, ((6.0, 10.0), (2.3, 2.6), (2.8, 3.7)), _truck),
    Kind("vehicle", 0.02, ((10.0, 12.5), (2.5, 2.65), (2.9, 3.3)), _bus),
    Kind("pedestrian", 1.0, ((0.5, 1.0), (0.5, 0.8), (1.5, 1.95)), _person),
    Kind("cyclist", 1.0, ((1.6, 1.95), (0.5, 0.75), (1.6, 1.9)), _rider),
)


def tree(x: float, y: float, z: float, generator: Generator) -> list[Prism]:
    """A trunk, and a crown of leaves in tiers."""
    radius, bottom = generator.uniform(1.0, 3.2), generator.uniform(1.2, 3.0)
    tall, leaves = generator.uniform(1.2, 2.4) * radius, generator.uniform(0.2, 0.45)
    trunk = Prism(ring(x, y, generator.uniform(0.1, 0.25)), z, z + bottom + 0.5, 0.25)
    crown = []
    for tier, share in enumerate((0.55, 0.9, 1.0, 0.75, 0.4)):
        low = z + bottom + tier * tall / 5
        for _ in range(2):  # tufts, not one round crown
            dx, dy = generator.normal(0, 0.25 * radius, 2)
            crown.append(Prism(ring(x + dx, y + dy, share * radius * 0.8), low, low + tall / 5, leaves, 0.78))
    return [trunk, *crown]


def bush(x: float, y: float, z: float, length: float, yaw: float, generator: Generator) -> list[Prism]:
    """A bush, or a stretch of hedge."""
    high, wide, leaves = generator.uniform(0.6, 1.9), generator.uniform(0.5, 1.2), generator.uniform(0.2, 0.45)
    return [
        Prism(rectangle(x, y, length * share, wide * share, yaw, 0.3), z + low * high, z + top * high, leaves, 0.45)
        for share, low, top in ((1.0, 0, 0.4), (0.9, 0.4, 0.75), (0.7, 0.75, 1.0))
    ]


def pole(x: float, y: float, z: float, generator: Generator) -> list[Prism]:
    """A lamp post, or a sign that faces along the street, more or less."""
    if generator.random() < 0.5:
        return [Prism(ring(x, y, generator.uniform(0.06, 0.14)), z, z + generator.uniform(4, 8), 0.4)]
    high = generator.uniform(2.0, 3.0)
    plate = rectangle(x, y, 0.04, generator.uniform(0.4, 0.9), generator.normal(0, 0.3))
    return [Prism(ring(x, y, 0.04), z, z + high, 0.4), Prism(plate, z + high - 0.7, z + high, 0.95)]


def clutter(x: float, y: float, z: float, yaw: float, generator: Generator) -> list[Prism]:
    """A bollard, a bin, a stall or a container: what is easily taken for something else."""
    length, width, high = [(0.2, 0.2, 1.0), (0.6, 0.6, 1.2), (1.6, 1.1, 2.0), (3.5, 1.8, 1.6)][generator.integers(4)]
    share = generator.uniform(0.8, 1.2)
    return [
        Prism(rectangle(x, y, length * share, width * share, yaw), z, z + high * share, generator.uniform(0.1, 0.7))
    ]


def house(
    x: float, y: float, z: float, length: float, depth: float, yaw: float, high: float, generator: Generator
) -> list[Prism]:
    """A block with a base, and with oriels or doors on the side that faces the street (that of -depth)."""
    wall = generator.uniform(0.15, 0.55)
    parts = [Prism(rectangle(x, y, length, depth, yaw), z - 1, z + high, wall)]
    for _ in range(generator.integers(0, 4)):
        along, wide = generator.uniform(-0.4, 0.4) * length, generator.uniform(1.0, 3.0)
        px, py = moved(np.array([[along, -depth / 2]]), x, y, yaw)[0]
        low = z if generator.random() < 0.5 else z + 2.6
        parts.append(Prism(rectangle(px, py, wide, 1.2, yaw), low - 0.5, low + generator.uniform(2, 3), wall))
    return parts
