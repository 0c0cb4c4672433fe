"""Targets and loss of BézierLaneNet (Feng et al. 2022, section 3.4; weights of its CULane configuration).

Labels become cubic Bézier curves by least squares; each is matched with one query of its image, and the two are
compared at points along the curves. While training, the network also says where lanes are, cell by cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.bezierlanenet import BezierLaneNet, bernstein, local_maxima
from sfcore.tasks.lanes import Polyline
from sfcore.training.objective import Targets, register

WEIGHTS = {"curves": 1.0, "logits": 0.4, "segmentation": 0.75}
BACKGROUND = 0.4  # weight of what is no lane in both classifications
CURVE_SHARE = 0.8  # of nearness in the matching; the rest is confidence
ALONG = 0.25  # weight of what a point is off along its lane
SAMPLES = 32  # points at which curves are compared
MASK = 4  # pixels of the input per pixel of the segmentation's target


def visible(line: Polyline, size: np.ndarray) -> np.ndarray | None:
    """The part of a line inside an image of ``size`` (width, height), as SAMPLES points at even distances.

    Returns:
        (S, 2) from the lower end to the upper; None where less than a pixel is inside.
    """
    line = np.asarray(line, np.float64)
    line = line[np.argsort(-line[:, 1], kind="stable")]
    dense = _along(line, np.linspace(0, 1, 8 * len(line) + 8 * SAMPLES))
    inside = dense[((dense >= 0) & (dense <= size)).all(1)]
    if len(inside) < 2 or np.ptp(inside, 0).max() < 1:
        return None
    return _along(inside, np.linspace(0, 1, SAMPLES))


def _along(line: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The points at these shares of a line's length."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    place = np.concatenate([[0], np.cumsum(steps)]) / max(steps.sum(), 1e-9)
    return np.stack([np.interp(share, place, line[:, axis]) for axis in range(2)], 1)


@register("bezierlanenet-tiny", "bezierlanenet-small", "bezierlanenet-mid")
class BezierLaneNetObjective:
    """One query for each lane, compared with it along the curve; all others are background."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, BezierLaneNet):
            raise TypeError(f"this objective trains BezierLaneNet, not {type(detector).__name__}")
        height, width = detector.preprocessing.size
        self.window = detector.selection.window
        self.corner = np.array([0.0, detector.top])
        self.size = np.array([detector.frame[1], detector.frame[0] - detector.top])
        self.aspect = torch.tensor([1.0, self.size[1] / self.size[0]])  # shares of width and height to input widths
        self.mask = (height // MASK, width // MASK)
        self.bernstein = bernstein(SAMPLES).T  # (S, 4)
        self.fit = np.linalg.pinv(self.bernstein.double().numpy())

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """Curves of each image and a map of its lanes.

        Returns:
            curves (B, L, 8) control points in shares of the input; present (B, L), which of them exist;
            mask (B, 1, h, w), where lanes are.
        """
        found = [self._curves(lines) for lines in lanes]
        most = max((len(curves) for curves in found), default=0)
        curves = np.zeros((len(lanes), most, 8), np.float32)
        present = np.zeros(curves.shape[:2], bool)
        mask = np.zeros((len(lanes), 1, *self.mask), np.float32)
        for image, lines in enumerate(found):
            present[image, : len(lines)] = True
            for slot, points in enumerate(lines):
                curves[image, slot] = (self.fit @ points).reshape(8)
                places = np.rint((points * self.mask[::-1] - 0.5) * 16).astype(np.int32)
                cv2.polylines(mask[image, 0], [places], False, 1.0, shift=4)
        values = {"curves": curves, "present": present, "mask": mask}
        return {name: torch.from_numpy(value) for name, value in values.items()}

    def _curves(self, lines: Sequence[Polyline]) -> list[np.ndarray]:
        """Points along the visible lines, in shares of the input."""
        parts = (visible(np.asarray(line) - self.corner, self.size) for line in lines)
        return [part / self.size for part in parts if part is not None]

    def points(self, curves: Tensor) -> Tensor:
        """(…, 8) control points to (…, 2·S) the coordinates of points along their curves."""
        basis = self.bernstein.to(curves)
        return (basis @ curves.unflatten(-1, (4, 2))).flatten(-2)

    @torch.no_grad()
    def match(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """Images, queries and lanes that belong together (eq. 5): near curves, sure queries, local maxima only."""
        sure = outputs["logits"].squeeze(-1).sigmoid()
        distance = torch.cdist(self.points(outputs["curves"]), self.points(targets["curves"]), p=1) / SAMPLES
        near = (1 - distance).clamp(0, 1) ** CURVE_SHARE
        merit = (sure * local_maxima(sure, self.window)).unsqueeze(-1) ** (1 - CURVE_SHARE) * near
        found = []
        for image, (table, present) in enumerate(zip(merit.cpu(), targets["present"].cpu(), strict=True)):
            query, lane = linear_sum_assignment(table[:, present], maximize=True)  # those present come first
            found.append(np.stack([np.full_like(query, image), query, lane]))
        return tuple(torch.from_numpy(np.concatenate(found, 1)).to(sure.device))

    def off(self, curves: Tensor, target: Tensor) -> Tensor:
        """(K, S) how far points of curves (K, 8) are from those of their targets, in input widths.

        Published is |Δx| + |Δy| of points at the same parameter. A curve that runs along its target at another pace is
        no worse a lane, so here what is off across the target counts in full, and what is off along it as ALONG.
        """
        here, there = (self.points(each).unflatten(-1, (-1, 2)) * self.aspect.to(each) for each in (curves, target))
        along = functional.normalize(torch.gradient(there, dim=1)[0], dim=-1)
        error = here - there
        across = error[..., 0] * along[..., 1] - error[..., 1] * along[..., 0]
        return across.abs() + ALONG * (error * along).sum(-1).abs()

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        image, query, lane = self.match(outputs, targets)
        label = torch.zeros_like(outputs["logits"])
        label[image, query] = 1
        error = self.off(outputs["curves"][image, query], targets["curves"][image, lane])
        maps = functional.interpolate(outputs["segmentation"], self.mask, mode="bilinear", align_corners=False)
        parts = {
            "curves": error.sum() / SAMPLES / max(len(image), 1),
            "logits": weighted_entropy(outputs["logits"], label),
            "segmentation": weighted_entropy(maps, targets["mask"]),
        }
        return {name: WEIGHTS[name] * part for name, part in parts.items()}


def weighted_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean binary cross-entropy; what is no lane counts less."""
    weight = torch.where(label == 1, 1.0, BACKGROUND)
    return functional.binary_cross_entropy_with_logits(logits, label, weight)
