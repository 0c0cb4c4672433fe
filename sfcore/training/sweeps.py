"""Rendered sweeps as training data, and random views of them: turned, scaled, thinned, in another light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfcore.datasets.lidar.render import SCANNERS, Sweep, sweep
from sfcore.detectors.base import Detector
from sfcore.evaluation.recall_curve import Judged, plain_ap
from sfcore.inputs.points import PointCloud
from sfcore.tasks.boxes3d import Boxes3d
from sfcore.tasks.boxes3d.geometry import bev_iou

Objects = list[np.ndarray]  # (9,) each: the numbers of a box, its label, a score


@dataclass(frozen=True)
class SweepAugmentation:
    """How far a view may lie from its sweep. None is mirrored: which side traffic keeps to tells headings apart.

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
        turn, scale = random.uniform(-self.turn, self.turn), random.uniform(*self.scale)
        up = random.normal() * self.raise_by
        cos, sin = np.cos(turn), np.sin(turn)
        motion = np.array([[cos, -sin], [sin, cos]]) * scale
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


def boxes_of(made: Sweep) -> Objects:
    """The labelled boxes of a sweep."""
    return [np.array([*box, label, 1.0]) for box, label in zip(made.boxes, made.labels, strict=True)]


def made_sweep(seed: int) -> Sweep:
    """The sweep of a seed; the scanner changes from seed to seed, so that all are met."""
    return sweep(seed, list(SCANNERS)[seed % len(SCANNERS)])


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
        made = made_sweep(seed + i)
        near = made.points[np.hypot(*made.points[:, :2].T) < reach]
        points.append(near.astype(np.float16))
        objects.append(boxes_of(made))
        if progress:
            progress(i + 1, count)
    return SweepSet(points, objects, cloud)


@dataclass(frozen=True)
class SweepScore:
    """How well a detector finds the boxes of sweeps that it has never seen, of those within its range.

    Attributes:
        f1, precision, recall: at BEV IoU 0.5, over all classes.
        shift_dm: mean displacement of what is found, in decimetres.
        ap50: of each class, area under precision over recall at BEV IoU 0.5.
    """

    f1: float
    precision: float
    recall: float
    shift_dm: float
    ap50: dict[str, float]

    def rounded(self) -> dict[str, float]:
        """What is kept with weights."""
        found = {f"bev_ap50_{name}": round(value, 4) for name, value in self.ap50.items()}
        return {"f1": round(self.f1, 4), "shift_dm": round(self.shift_dm, 2), **found}


@torch.no_grad()
def score_sweeps(detector: Detector, sweeps: Sequence[Sweep], batch: int = 4) -> SweepScore:
    """Compare what ``detector`` finds with the boxes of ``sweeps``."""
    groups = [[each.points for each in sweeps[start : start + batch]] for start in range(0, len(sweeps), batch)]
    found = detector.task.join([detector.decode(detector(detector.preprocess(group))).to("cpu") for group in groups])
    frames = [[each for each in boxes_of(made) if _within(each, found.extent)] for made in sweeps]
    truth = Boxes3d.from_objects(frames, found.names, found.extent)
    total = detector.task.agreement(truth, found)
    ap50 = {name: _average_precision(truth, found, label) for label, name in enumerate(found.names)}
    return SweepScore(total.f1, total.precision, total.recall, total.shift, ap50)


def _average_precision(truth: Boxes3d, found: Boxes3d, label: int) -> float:
    """Of one class, at BEV IoU 0.5."""
    wanted, given = (each.present & (each.label == label) for each in (truth, found))
    frames = [
        Judged(
            bev_iou(truth.box[i][wanted[i]], found.box[i][given[i]]).numpy(),
            np.ones(int(wanted[i].sum()), bool),
            found.score[i][given[i]].numpy(),
            np.ones(int(given[i].sum()), bool),
        )
        for i in range(len(truth))
    ]
    return plain_ap(frames, 0.5)


def _within(box: np.ndarray, extent: tuple[float, float, float, float]) -> bool:
    x_min, y_min, x_max, y_max = extent
    return bool(x_min <= box[0] < x_max and y_min <= box[1] < y_max)
