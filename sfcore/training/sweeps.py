"""Rendered sweeps as training data, and random views of them: mirrored, turned, scaled, thinned, in another light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sfcore.datasets.lidar.render import SCANNERS, sweep
from sfcore.inputs.points import PointCloud

Objects = list[np.ndarray]  # (9,) each: the numbers of a box, its label, a score


@dataclass(frozen=True)
class SweepAugmentation:
    """How far a view may lie from its sweep.

    Attributes:
        turn: either way, in radians.
        scale: of all lengths.
        raise_by: standard deviation of a shift upwards, in metres: where a scanner is mounted differs.
        light: standard deviation of the logarithm of a factor of all reflectances: scanners differ.
        dark: share of views without reflectances.
        thin: least share of the points that is kept.
    """

    turn: float = np.pi / 4
    scale: tuple[float, float] = (0.95, 1.05)
    raise_by: float = 0.12
    light: float = 0.35
    dark: float = 0.1
    thin: float = 0.6

    def __call__(
        self, points: np.ndarray, boxes: Sequence[np.ndarray], random: np.random.Generator
    ) -> tuple[np.ndarray, Objects]:
        """A new view of (N, 4) points and their boxes."""
        mirror = np.where(random.random(2) < 0.5, -1.0, 1.0)
        turn, scale, up = random.uniform(-self.turn, self.turn), random.uniform(*self.scale), random.normal() * self.raise_by
        cos, sin = np.cos(turn), np.sin(turn)
        motion = np.array([[cos, -sin], [sin, cos]]) * scale * mirror
        light = 0.0 if random.random() < self.dark else np.exp(random.normal() * self.light)
        kept = points[random.random(len(points)) < random.uniform(self.thin, 1)].astype(np.float32)
        kept[:, :2] = kept[:, :2] @ motion.T.astype(np.float32)
        kept[:, 2] = kept[:, 2] * scale + up
        kept[:, 3] = (kept[:, 3] * light).clip(0, 1)
        moved = np.reshape(boxes, (-1, 9)).astype(np.float64)
        heading = np.stack([np.cos(moved[:, 6]), np.sin(moved[:, 6])], 1) @ motion.T
        moved[:, :2] = moved[:, :2] @ motion.T
        moved[:, 2] = moved[:, 2] * scale + up
        moved[:, 3:6] *= scale
        moved[:, 6] = np.arctan2(heading[:, 1], heading[:, 0])
        return kept, list(moved)


@dataclass(frozen=True)
class SweepSet:
    """Sweeps for one detector.

    Attributes:
        points: of each sweep, (N, 4) float16.
        objects: of each sweep, its boxes.
        cloud: the detector's input.
    """

    points: Sequence[np.ndarray]
    objects: list[Objects]
    cloud: PointCloud

    def batch(
        self, index: np.ndarray, augment: SweepAugmentation, random: np.random.Generator
    ) -> tuple[Tensor, list[Objects]]:
        """Augmented inputs (B, 4, 1, P) and their boxes."""
        views = [augment(self.points[i], self.objects[i], random) for i in index]
        return self.cloud([points for points, _ in views]), [boxes for _, boxes in views]


def beams_of(seed: int) -> int:
    """Which scanner the sweep of a seed is made with, so that all are met."""
    return list(SCANNERS)[seed % len(SCANNERS)]


def render_sweeps(
    cloud: PointCloud, count: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> SweepSet:
    """Render ``count`` sweeps with seeds from ``seed`` on.

    Args:
        progress: called with sweeps done and ``count``.
    """
    points, objects = [], []
    reach = 1.5 * max(map(abs, cloud.extent))  # views are turned
    for i in range(count):
        made = sweep(seed + i, beams_of(seed + i))
        near = made.points[np.hypot(*made.points[:, :2].T) < reach]
        points.append(near.astype(np.float16))
        objects.append([np.array([*box, label, 1.0]) for box, label in zip(made.boxes, made.labels, strict=True)])
        if progress:
            progress(i + 1, count)
    return SweepSet(points, objects, cloud)
