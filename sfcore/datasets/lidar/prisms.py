"""What rendered sweeps are built of: upright prisms over convex footprints, and rays that end at the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CORNERS = 8  # of a footprint; one with fewer repeats its last


@dataclass(frozen=True)
class Prism:
    """One upright prism.

    Attributes:
        corners: (K, 2) x, y of its convex footprint in metres, counter-clockwise, at most CORNERS.
        low, high: z of its bottom and top in metres.
        reflectance: in [0, 1], of a surface that faces the scanner.
        clear: share of rays that pass through: leaves, glass.
    """

    corners: np.ndarray
    low: float
    high: float
    reflectance: float
    clear: float = 0.0


@dataclass(frozen=True)
class Hits:
    """Where rays end, for each beam and column.

    Attributes:
        ground: (beams, columns) horizontal distance in metres; inf where nothing is hit.
        facing: cosine of the angle between the ray and the surface's normal.
        reflectance: of what is hit.
    """

    ground: np.ndarray
    facing: np.ndarray
    reflectance: np.ndarray


def rectangle(x: float, y: float, length: float, width: float, yaw: float, bevel: float = 0.0) -> np.ndarray:
    """Corners of a rectangle around a place, its length along ``yaw``; ``bevel`` metres are cut off each corner."""
    a, b, c = length / 2, width / 2, min(bevel, length / 2, width / 2)
    local = np.array(
        [[a, b - c], [a - c, b], [c - a, b], [-a, b - c], [-a, c - b], [c - a, -b], [a - c, -b], [a, c - b]]
    )
    return moved(local if bevel else np.array([[a, b], [-a, b], [-a, -b], [a, -b]]), x, y, yaw)


def ring(x: float, y: float, radius: float, across: float = 1.0, yaw: float = 0.0) -> np.ndarray:
    """Corners of an ellipse: ``radius`` along ``yaw``, ``across`` times that to the side."""
    angle = np.arange(CORNERS) * (2 * np.pi / CORNERS)
    return moved(np.stack([radius * np.cos(angle), radius * across * np.sin(angle)], 1), x, y, yaw)


def moved(points: np.ndarray, x: float, y: float, yaw: float) -> np.ndarray:
    """(K, 2) points turned by ``yaw`` around the origin, then shifted."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def cast(prisms: Sequence[Prism], azimuth: np.ndarray, rise: np.ndarray, generator: np.random.Generator) -> Hits:
    """Rays from the origin to the nearest prism.

    Args:
        azimuth: (columns,) of a full turn, evenly spaced, in radians from -π.
        rise: (beams,) tangent of each beam's elevation.
    """
    shape = len(rise), len(azimuth)
    if not prisms:
        return Hits(np.full(shape, np.inf), np.ones(shape), np.zeros(shape))
    corners = np.stack([p.corners[np.minimum(np.arange(CORNERS), len(p.corners) - 1)] for p in prisms])
    which, column = _candidates(corners, len(azimuth))
    entry, exit_, facing = _crossed(corners[which], azimuth[column])
    met = exit_ > entry
    which, column, entry, exit_, facing = (each[met] for each in (which, column, entry, exit_, facing))
    low, high, reflectance, clear = np.array([[p.low, p.high, p.reflectance, p.clear] for p in prisms]).T[:, which]
    distance, flat = _ended(entry, exit_, low, high, rise)
    distance[generator.random(distance.shape) < clear[:, None]] = np.inf
    return _nearest(
        distance, column, np.where(flat, np.abs(np.sin(np.arctan(rise))), facing[:, None]), reflectance, shape
    )


def _candidates(corners: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a prism and a column that may meet, by column."""
    centre = corners.mean(1)
    middle = np.arctan2(centre[:, 1], centre[:, 0])
    angle = np.arctan2(corners[..., 1], corners[..., 0]) - middle[:, None]
    off = (angle + np.pi) % (2 * np.pi) - np.pi
    step = 2 * np.pi / columns
    first = np.floor((middle + off.min(1) + np.pi) / step).astype(int)
    last = np.ceil((middle + off.max(1) + np.pi) / step).astype(int)
    count = last - first + 1
    which = np.repeat(np.arange(len(corners)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = (first[which] + place) % columns
    order = np.argsort(column, kind="stable")
    return which[order], column[order]


def _crossed(corners: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where (P,) rays on the ground enter and leave (P, K, 2) footprints, and the cosine at the side they enter."""
    side = np.roll(corners, -1, 1) - corners
    length = np.hypot(side[..., 0], side[..., 1])
    real = length > 1e-9
    normal = np.stack([side[..., 1], -side[..., 0]], -1) / np.where(real, length, 1)[..., None]
    reach = (normal * corners).sum(-1)
    along = normal[..., 0] * np.cos(azimuth)[:, None] + normal[..., 1] * np.sin(azimuth)[:, None]
    at = reach / np.where(np.abs(along) < 1e-12, 1e-12, along)
    entry = np.where(real & (along < 0), at, -np.inf)
    exit_ = np.where(real & (along > 0), at, np.inf)
    into = entry.argmax(1)
    rows = np.arange(len(entry))
    first = entry[rows, into]
    return np.where(first > 0.1, first, np.inf), exit_.min(1), -along[rows, into]


def _ended(
    entry: np.ndarray, exit_: np.ndarray, low: np.ndarray, high: np.ndarray, rise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(P, beams) distance at which rays meet a side, a top or a bottom, inf where none; and whether it is no side."""
    entry, exit_, low, high = (each[:, None] for each in (entry, exit_, low, high))
    z = entry * rise
    level = np.where(z > high, high, low)  # a ray that passes above can only come down on the top
    with np.errstate(divide="ignore", invalid="ignore"):
        met = level / rise
    flat = (z > high) | (z < low)
    lid = np.where((met >= entry) & (met <= exit_), met, np.inf)
    return np.where(flat, lid, entry), flat


def _nearest(
    distance: np.ndarray, column: np.ndarray, facing: np.ndarray, reflectance: np.ndarray, shape: tuple[int, int]
) -> Hits:
    """The nearest of the pairs of each column, beam by beam."""
    starts = np.flatnonzero(np.r_[True, np.diff(column) > 0])
    least = np.minimum.reduceat(distance, starts)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(column)]))
    rows = np.arange(len(column))[:, None]
    winner = np.maximum.reduceat(np.where(distance <= least[group], rows, -1), starts)
    found = Hits(np.full(shape, np.inf), np.ones(shape), np.zeros(shape))
    met = column[starts]
    found.ground[:, met] = least.T
    found.facing[:, met] = np.take_along_axis(facing, winner, 0).T
    found.reflectance[:, met] = reflectance[winner].T
    return found
