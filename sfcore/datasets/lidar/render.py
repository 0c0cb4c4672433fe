"""Rendered sweeps: a spinning scanner in a town, with the exact box of whatever it sees of NAMES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfcore.datasets.lidar.bodies import NAMES
from sfcore.datasets.lidar.ground import Street, seen_ground
from sfcore.datasets.lidar.prisms import Hits, Prism, cast
from sfcore.datasets.lidar.town import built
from sfcore.errors import InputError

VERSION = 1  # counts changes of what a seed renders
SEEN = 5  # points that a body must have inside its box to be labelled


@dataclass(frozen=True)
class Scanner:
    """A spinning scanner.

    Attributes:
        elevation: (beams,) degrees above the horizon, the highest first.
        columns: of a turn.
        height: above the ground, in metres.
        reach: metres that it sees at most.
        noise: standard deviation of a distance, in metres.
    """

    elevation: np.ndarray
    columns: int
    height: float
    reach: float
    noise: float


#: By their number of beams: as KITTI's HDL-64E, every second column of it or so, and as nuScenes' HDL-32E.
SCANNERS = {
    64: Scanner(np.r_[np.linspace(2, -8.33, 32), np.linspace(-8.83, -24.8, 32)], 1024, 1.73, 100.0, 0.015),
    32: Scanner(np.linspace(10.67, -30.67, 32), 1084, 1.84, 80.0, 0.018),
}


@dataclass(frozen=True)
class Sweep:
    """One turn of a scanner and what it saw.

    Attributes:
        points: (N, 4) float32 x, y, z in metres of the scanner's frame (x ahead, y left, z up), reflectance in [0, 1].
        boxes: (K, 7) float32, see :class:`sfcore.tasks.boxes3d.Boxes3d`.
        labels: (K,) the class of each box: its place in ``names``.
        names: of the classes.
        points_inside: (K,) how many points lie in each box; boxes with fewer than SEEN are left out.
    """

    points: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    points_inside: np.ndarray


def sweep(seed: int, beams: int = 64) -> Sweep:
    """The sweep of a seed; the same each time.

    Args:
        beams: one of SCANNERS.

    Raises:
        InputError: there is no scanner of so many beams.
    """
    if beams not in SCANNERS:
        raise InputError(f"there is no scanner of {beams} beams: choose {' or '.join(map(str, SCANNERS))}")
    scanner = SCANNERS[beams]
    generator = np.random.default_rng(seed)
    street = Street.drawn(scanner.height, generator)
    town = built(street, generator)
    points = _scanned(
        scanner, street, [p for each in (*(b.prisms for b in town.labelled), town.others) for p in each], generator
    )
    boxes = np.array([body.box for body in town.labelled], np.float32).reshape(-1, 7)
    labels = np.array([NAMES.index(body.name) for body in town.labelled], np.int64)
    inside = count_inside(points, boxes)
    seen = inside >= SEEN
    return Sweep(points, boxes[seen], labels[seen], NAMES, inside[seen])


def count_inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(K,) how many of (N, ≥ 3) points lie in each of (K, 7) boxes."""
    counts = np.zeros(len(boxes), np.int64)
    px, py, pz = (np.ascontiguousarray(each) for each in points.T[:3])
    for place, (x, y, z, length, width, height, yaw) in enumerate(boxes):
        near = np.flatnonzero((np.abs(px - x) < length + width) & (np.abs(py - y) < length + width))
        dx, dy, dz = px[near] - x, py[near] - y, pz[near] - z
        along, across = dx * np.cos(yaw) + dy * np.sin(yaw), dy * np.cos(yaw) - dx * np.sin(yaw)
        inside = (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2) & (np.abs(dz) <= height / 2)
        counts[place] = inside.sum()
    return counts


def _scanned(scanner: Scanner, street: Street, prisms: Sequence[Prism], generator: np.random.Generator) -> np.ndarray:
    """(N, 4) the points of a turn."""
    azimuth = (np.arange(scanner.columns) + 0.5) * (2 * np.pi / scanner.columns) - np.pi
    rise = np.tan(np.radians(scanner.elevation + generator.normal(0, 0.03, len(scanner.elevation))))
    hits = _nearer(seen_ground(street, azimuth, rise), cast(prisms, azimuth, rise, generator))
    slant = np.sqrt(1 + rise[:, None] ** 2)
    distance = hits.ground * slant
    kept = np.isfinite(distance) & _returned(hits, distance, generator)
    kept &= distance < scanner.reach
    distance = distance + generator.normal(0, scanner.noise, distance.shape)
    ground = (distance / slant)[kept]
    beam, column = np.nonzero(kept)
    light = hits.reflectance * (0.45 + 0.55 * hits.facing) * np.exp(generator.normal(0, 0.18, distance.shape))
    x, y, z = ground * np.cos(azimuth[column]), ground * np.sin(azimuth[column]), ground * rise[beam]
    return np.stack([x, y, z, light[kept].clip(0, 1)], 1).astype(np.float32)


def _nearer(one: Hits, other: Hits) -> Hits:
    first = one.ground <= other.ground
    return Hits(*(np.where(first, getattr(one, n), getattr(other, n)) for n in ("ground", "facing", "reflectance")))


def _returned(hits: Hits, distance: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Whether a ray's echo is heard: it fades with the distance, on dark and on slanted surfaces, and some are lost."""
    with np.errstate(invalid="ignore"):
        echo = hits.reflectance * hits.facing / (distance / 50) ** 2 * np.exp(generator.normal(0, 0.6, distance.shape))
    return (echo > 0.0035) & (generator.random(distance.shape) > generator.uniform(0.01, 0.06))
