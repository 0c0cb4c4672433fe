"""Targets and loss of GANet (Wang et al. 2022, section 3; weights of its CULane configuration).

Three things differ from the published training. The regression of sampling points is not supervised (its
auxiliary loss). The heat map of start points is trained a little (published weight: 0), so that the head
means what its name says. Offset and error are taught beside a keypoint too: a peak that comes out a cell or
two away then still names the same place and the same start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.ganet import POINT_RADIUS, START_RADIUS, STRIDE, GANet
from sfcore.detectors.heat_maps import focal_loss, heat_map
from sfcore.tasks.lanes import Polyline
from sfcore.training.objective import Targets, register

WEIGHTS = {"cpts": 0.2, "kpts": 1.0, "offset": 0.5, "error": 2.0}
BESIDE = 2  # cells left and right of a keypoint where offset and error are taught
SAMPLES = 8  # places looked at per cell of height to find where a lane is inside the image


def keypoints(line: Polyline, height: int, width: int) -> np.ndarray | None:
    """One keypoint of a lane for each row of cells that it passes: (N, 2) x, y in cells, from top to bottom.

    A point lies at half its row's height; those of the first and last row lie at the very ends of the lane,
    so that the ends are not rounded to cells.

    Returns:
        None where less than two rows of the lane are inside the map.
    """
    line = np.asarray(line, np.float64)
    line = line[np.argsort(line[:, 1], kind="stable")]
    low, high = max(line[0, 1], 0.0), min(line[-1, 1], height - 1e-3)
    if high <= low:
        return None
    dense = np.linspace(low, high, max(int((high - low) * SAMPLES), 2))
    x = np.interp(dense, line[:, 1], line[:, 0])
    inside = dense[(x >= 0) & (x < width)]
    if not len(inside) or math.floor(inside[-1]) == math.floor(inside[0]):
        return None
    y = np.arange(math.floor(inside[0]), math.floor(inside[-1]) + 1) + 0.5
    y[0], y[-1] = inside[0], inside[-1]
    x = np.interp(y, line[:, 1], line[:, 0])
    kept = (x >= 0) & (x < width)  # a lane may leave the image and return
    return np.stack([x, y], 1)[kept]


@register("ganet-tiny", "ganet-small", "ganet-mid")
class GANetObjective:
    """Heat maps by focal loss, offsets by their absolute error at the keypoints."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, GANet):
            raise TypeError(f"this objective trains GANet, not {type(detector).__name__}")
        self.cell, self.corner = detector.cell.cpu().numpy(), detector.corner.cpu().numpy()
        height, width = detector.preprocessing.size
        self.grid = (height // STRIDE, width // STRIDE)

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """What each cell should say.

        Returns:
            cpts, kpts (B, 1, H, W) heat maps; offset, error (B, 2, H, W) in cells; mask (B, 1, H, W), where
            those two are taught.
        """
        shape = (len(lanes), 1, *self.grid)
        starts, points, mask = np.zeros((3, *shape), np.float32)
        offset, error = np.zeros((2, len(lanes), 2, *self.grid), np.float32)
        places = [(image, self._keypoints(line)) for image, lines in enumerate(lanes) for line in lines]
        found = [(image, place) for image, place in places if place is not None]
        # The farthest first, so that a keypoint's own cell is never another's neighbour.
        for shift in sorted(range(-BESIDE, BESIDE + 1), key=abs, reverse=True):
            for image, place in found:
                cell = place.astype(int) + np.array([shift, 0])
                inside = (cell[:, 0] >= 0) & (cell[:, 0] < self.grid[1])
                column, row = cell[inside].T
                mask[image, 0, row, column] = 1
                error[image, :, row, column] = (place - cell)[inside]
                # Published: from the point, not from its cell.
                offset[image, :, row, column] = (place[-1] - place - (shift, 0))[inside]
        for image, place in found:
            column, row = place.astype(int).T
            points[image, 0, row, column] = 1
            starts[image, 0, row[-1], column[-1]] = 1
        maps = {"offset": offset, "error": error, "mask": mask}
        heat = {"kpts": heat_map(torch.from_numpy(points), POINT_RADIUS)}
        heat["cpts"] = heat_map(torch.from_numpy(starts), START_RADIUS)
        return {name: torch.from_numpy(values) for name, values in maps.items()} | heat

    def _keypoints(self, line: Polyline) -> np.ndarray | None:
        return keypoints((np.asarray(line) - self.corner) / self.cell, *self.grid)

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        mask = targets["mask"]
        parts = {name: focal_loss(outputs[name], targets[name]) for name in ("cpts", "kpts")}
        for name in ("offset", "error"):
            parts[name] = ((outputs[name] - targets[name]).abs() * mask).sum() / (2 * mask.sum()).clamp_min(1)
        return {name: WEIGHTS[name] * part for name, part in parts.items()}
