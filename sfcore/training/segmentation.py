"""Targets and loss of the segmentation detectors, SCNN and RESA.

Published training draws each lane as a stroke as large as the input, stretches the map to compare them, and lets the
background weigh 0.4. Here each cell of the map itself is told how near it is to a lane, as a probability that falls off
softly: neighbouring cells then say where between them the lane lies, nothing has to be stretched, and there is enough
of each lane to let all classes weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.segmentation import Segmentation
from sfcore.tasks.lanes import Polyline
from sfcore.training.objective import Targets, register

SPREAD = 4.0  # pixels of the input: σ of the probability across a lane
SURE = 0.98  # probability of a lane on its line
STRAIGHT = 0.06  # share of the frame's height over which a lane is extended as it ends
EXISTENCE = 0.1  # weight of the existence head, as published


def foot(line: Polyline, height: float) -> float:
    """Where a lane sorted from top to bottom meets the row ``height``, or would if it went on as it ends."""
    last = line[-1]
    before = line[max(np.searchsorted(line[:, 1], last[1] - STRAIGHT * height) - 1, 0)]
    slope = (last[0] - before[0]) / max(last[1] - before[1], 1e-3)
    return last[0] + slope * (height - last[1])


def in_slots(lines: Sequence[Polyline], slots: int, frame: tuple[int, int]) -> dict[int, Polyline]:
    """The lanes of an image by slot: counted from the vehicle outwards, by where they meet the image's last row.

    Args:
        lines: (N, 2) each, in pixels of ``frame``, at least two points high.

    Returns:
        At most ``slots`` lanes, sorted from top to bottom; those farther out have none.
    """
    lines = [line[np.argsort(line[:, 1], kind="stable")] for line in map(np.asarray, lines)]
    centre, half = (frame[1] - 1) / 2, slots // 2
    placed = sorted(((foot(line, frame[0] - 1) - centre, i) for i, line in enumerate(lines)), key=lambda each: each[0])
    left = [lines[i] for x, i in placed if x < 0][-half:]
    right = [lines[i] for x, i in placed if x >= 0][:half]
    return dict(enumerate(left, half - len(left))) | dict(enumerate(right, half))


@register("scnn-tiny", "scnn-small", "scnn-mid", "resa-tiny", "resa-small", "resa-mid")
class SegmentationObjective:
    """Cross-entropy of the map against soft labels, and of existence."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, Segmentation):
            raise TypeError(f"this objective trains SCNN and RESA, not {type(detector).__name__}")
        self.frame = detector.frame
        self.slots = len(detector.head("existence").channels)
        height, width = detector.preprocessing.size
        stride = detector.head("segmentation").stride
        assert stride is not None  # a grid
        top = round(detector.preprocessing.top * self.frame[0])
        scale = (self.frame[0] - top) / height, self.frame[1] / width
        # Where the decode takes cells to be: corners of the map on the corners of the input, from the last row up.
        self.y = self.frame[0] - 1 - np.linspace(height - 1, 0, height // stride) * scale[0]
        self.x = np.linspace(0, width - 1, width // stride) * scale[1]
        self.half_cell, self.spread = stride * scale[0] / 2, SPREAD * scale[1]

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """What each cell and each slot should say.

        Returns:
            segmentation (B, 1 + K, h, w): probabilities that add up to one; existence (B, K): 0 or 1.
        """
        near = np.zeros((len(lanes), self.slots, len(self.y), len(self.x)), np.float32)
        for image, lines in enumerate(lanes):
            for slot, line in in_slots(lines, self.slots, self.frame).items():
                near[image, slot] = self._nearness(line)
        exists = torch.from_numpy(near.max((2, 3)) > 0.5).float()
        best = near.max(1, keepdims=True)
        lane = torch.from_numpy(np.where(near == best, near, 0.0)) * SURE  # a cell is the nearest lane's
        return {"segmentation": torch.cat([1 - lane.sum(1, keepdim=True), lane], 1), "existence": exists}

    def _nearness(self, line: Polyline) -> np.ndarray:
        """(h, w) exp(-d² / 2σ²) of the distance d across the lane, taken along the row; 0 above and below it."""
        x, y = line.T
        column = np.interp(self.y, y, x, left=np.nan, right=np.nan)
        ends = [np.clip(self.y + reach, y[0], y[-1]) for reach in (-self.half_cell, self.half_cell)]
        upper, lower = (np.interp(end, y, x) for end in ends)
        slope = (lower - upper) / np.maximum(ends[1] - ends[0], 1e-3)
        distance = (self.x - column[:, None]) / np.sqrt(1 + slope**2)[:, None]
        return np.nan_to_num(np.exp(-np.square(distance / self.spread) / 2))

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {
            "segmentation": functional.cross_entropy(outputs["segmentation"], targets["segmentation"]),
            "existence": EXISTENCE
            * functional.binary_cross_entropy_with_logits(outputs["existence"], targets["existence"]),
        }
