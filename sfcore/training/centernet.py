"""Targets and loss of CenterNet (Zhou et al. 2019, section 3): focal loss of heat maps, absolute errors at centres.

Two things differ from the published training. Boxes that leave the image are taught as what is left of them, or not at
all where that is little. Sizes and offsets are taught beside a centre too: there is more to learn from, and a peak that
comes out a cell away then still names the same box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.centernet import STRIDE, CenterNet
from sfcore.detectors.heat_maps import focal_loss, spread
from sfcore.training.objective import Targets, register

WEIGHTS = {"hm": 1.0, "wh": 0.1, "reg": 1.0}
BESIDE = ((-1, -1), (-1, 1), (1, -1), (1, 1), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))  # columns and rows
LEAST_LEFT = 0.3  # of a box's area within the image: boxes with less are not taught


@register("centernet-tiny")
class CenterNetObjective:
    """Heat maps by focal loss, sizes and offsets by their absolute error at the centres."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, CenterNet):
            raise TypeError(f"this objective trains CenterNet, not {type(detector).__name__}")
        self.cell = detector.cell.cpu().double().numpy()
        self.frame, self.radius, self.classes = detector.frame, detector.radius, len(detector.names)
        height, width = detector.preprocessing.size
        self.grid = (height // STRIDE, width // STRIDE)

    def targets(self, objects: Sequence[Sequence[np.ndarray]]) -> Targets:
        """What each cell should say.

        Returns:
            hm (B, C, H, W) heat maps; wh, reg (B, 2, H, W) in cells; mask (B, 1, H, W), where those two are taught.
        """
        count = len(objects)
        rows = [(image, *box) for image, boxes in enumerate(objects) for box in self._seen(boxes)]
        image, left, top, right, bottom, label, _ = np.array(rows, np.float64).reshape(-1, 7).T
        size = np.stack([right - left, bottom - top]) / self.cell[:, None]
        centre = np.stack([left + right, top + bottom]) / (2 * self.cell[:, None])
        column, row = np.minimum(centre.astype(int), np.array(self.grid)[::-1, None] - 1)
        image, label = image.astype(int), label.astype(int)
        wh, reg = np.zeros((2, count, 2, *self.grid), np.float32)
        mask = np.zeros((count, 1, *self.grid), np.float32)
        for right_by, down_by in BESIDE:  # the centres last, so that a centre's own cell is never another's neighbour
            x, y = column + right_by, row + down_by
            inside = (x >= 0) & (x < self.grid[1]) & (y >= 0) & (y < self.grid[0])
            at = image[inside], y[inside], x[inside]
            wh[at[0], :, at[1], at[2]] = size.T[inside]
            reg[at[0], :, at[1], at[2]] = (centre - (x, y)).T[inside]
            mask[at[0], 0, at[1], at[2]] = 1
        width, height = torch.from_numpy(size)
        places = torch.from_numpy(np.stack([image, label, row, column], 1))
        heat = spread((count, self.classes, *self.grid), places, self.radius(height, width).long())
        return {"hm": heat} | {name: torch.from_numpy(v) for name, v in (("wh", wh), ("reg", reg), ("mask", mask))}

    def _seen(self, boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the image holds of boxes."""
        limits = np.array([self.frame[1], self.frame[0]] * 2)
        cut = [np.concatenate([np.clip(box[:4], 0, limits), box[4:]]) for box in boxes]
        return [after for before, after in zip(boxes, cut, strict=True) if _area(after) > LEAST_LEFT * _area(before)]

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        mask = targets["mask"]
        parts = {"hm": focal_loss(outputs["hm"], targets["hm"])}
        for name in ("wh", "reg"):
            parts[name] = ((outputs[name] - targets[name]).abs() * mask).sum() / (2 * mask.sum()).clamp_min(1)
        return {name: WEIGHTS[name] * part for name, part in parts.items()}


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
