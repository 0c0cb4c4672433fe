"""Targets and loss of CondLaneNet (Liu et al. 2021; weights of its CULane configuration).

Two things differ from the published training. The location map is also taught by cross-entropy, so that it peaks
where its mean is. And the rows where a lane exists end half a row inside its ends, because decoding adds a row at
either: the published targets make lanes half a row too long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.condlanenet import RADIUS, START_STRIDE, STRIDE, CondLaneNet
from sfcore.detectors.ganet_decode import rank_in_image
from sfcore.detectors.heat_maps import focal_loss, heat_map
from sfcore.tasks.lanes import Polyline
from sfcore.training.objective import Targets, register

WEIGHTS = {"hm": 1.0, "column": 1.0, "location": 1.0, "offset": 0.8, "range": 1.0}
BESIDE = ((0, 0), (0, -1), (-1, 0), (1, 0), (0, 1))  # x, y of the cells around a start that hold its lane's kernels
NEAR = 4.0  # cells left and right of a lane where the offset is taught
SAMPLES = 8  # places looked at per row to find where a lane is inside the image


def visible(line: Polyline, height: int, width: int) -> tuple[float, float] | None:
    """The heights (in cells) between which a lane, given from top to bottom, is inside the map, or None."""
    low, high = max(line[0, 1], 0.0), min(line[-1, 1], height - 1e-3)
    if high <= low:
        return None
    dense = np.linspace(low, high, max(int((high - low) * SAMPLES), 2))
    x = np.interp(dense, line[:, 1], line[:, 0])
    inside = dense[(x >= 0) & (x < width)]
    return (inside[0], inside[-1]) if len(inside) > 1 else None


def columns(line: Polyline, rows: np.ndarray) -> np.ndarray:
    """The lane's column at each row; beyond its ends it goes straight on."""
    x = np.interp(rows, line[:, 1], line[:, 0])
    for end, next_one, beyond in ((0, 1, rows < line[0, 1]), (-1, -2, rows > line[-1, 1])):
        (x0, y0), (x1, y1) = line[end], line[next_one]
        slope = (x1 - x0) / (y1 - y0) if abs(y1 - y0) > 1e-6 else 0.0
        x[beyond] = x0 + slope * (rows[beyond] - y0)
    return x


@register("condlanenet-tiny", "condlanenet-small", "condlanenet-mid")
class CondLaneObjective:
    """Heat map by focal loss; of the lane that each cell near a start draws: column, location, offset and rows."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, CondLaneNet):
            raise TypeError(f"this objective trains CondLaneNet, not {type(detector).__name__}")
        self.cell, self.corner = detector.cell.cpu().numpy(), np.array([0.0, detector.top])
        self.grid, self.starts = detector.bbox_head.cells, detector.bbox_head.starts
        self.ground = detector.bbox_head.ground

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """What each image should say.

        Returns:
            hm (B, 1, h, w) heat map; lane (B, h, w) long, which of an image's lanes a cell draws, -1 for none;
            column (B, L, H) of each lane in cells; seen and range (B, L, H), where its column is known and where
            it exists.
        """
        most = max([1, *(len(lines) for lines in lanes)])
        column, seen, exists = np.zeros((3, len(lanes), most, self.grid[0]), np.float32)
        lane = np.full((len(lanes), *self.starts), -1)
        marks = np.zeros((len(lanes), 1, *self.starts), np.float32)
        for image, lines in enumerate(lanes):
            starts = {}
            for index, line in enumerate(lines):
                found = self._lane(line)
                if found is not None:
                    starts[index], column[image, index], seen[image, index], exists[image, index] = found
            self._claim(starts, lane[image])
            for x, y in starts.values():
                marks[image, 0, y, x] = 1
        heat = heat_map(torch.from_numpy(marks), RADIUS)
        arrays = {"lane": lane, "column": column, "seen": seen, "range": exists}
        return {"hm": heat} | {name: torch.from_numpy(values) for name, values in arrays.items()}

    def _lane(self, line: Polyline) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray] | None:
        """Start (x, y in cells of the heat map), column, rows where it is known and rows where the lane exists."""
        height, width = self.grid
        line = (np.asarray(line, np.float64) - self.corner) / self.cell
        line = line[np.argsort(line[:, 1], kind="stable")]
        ends = visible(line, height, width)
        if ends is None or ends[1] - ends[0] < 1:
            return None
        rows = np.arange(height)
        column = columns(line, rows)
        exists = (rows >= ends[0] + 0.5) & (rows <= ends[1] - 0.5)
        exists |= rows == math.floor((ends[0] + ends[1]) / 2)  # of a lane of little height one row remains
        seen = (rows > ends[0] - 1) & (rows < ends[1] + 1) & (column >= 0) & (column <= width - 0.5)
        foot = (float(np.interp(ends[1], line[:, 1], line[:, 0])), ends[1])
        x, y = (
            min(int(place * STRIDE / START_STRIDE), n - 1) for place, n in zip(foot, reversed(self.starts), strict=True)
        )
        return (x, y), column, seen, exists

    def _claim(self, starts: dict[int, tuple[int, int]], lane: np.ndarray) -> None:
        """Write each lane's index into the cells around its start; a cell is that of the first of its neighbours."""
        for dx, dy in reversed(BESIDE):
            for index, (x, y) in starts.items():
                if 0 <= x + dx < lane.shape[1] and 0 <= y + dy < lane.shape[0]:
                    lane[y + dy, x + dx] = index

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        image, y, x = (targets["lane"] >= 0).nonzero(as_tuple=True)
        index = targets["lane"][image, y, x]
        column, seen, exists = (targets[name][image, index] for name in ("column", "seen", "range"))
        read = {name: outputs[name][image, :, y, x] for name in ("location", "offset", "shift", "range")}
        ground, slot = self.ground(outputs["features"]), rank_in_image(image, len(outputs["hm"]))
        location, offset = (self._draw(read[name], ground, image, slot) for name in ("location", "offset"))
        cells = torch.arange(self.grid[1], device=column.device, dtype=column.dtype)
        aim = column - 0.5  # cut to a whole cell it is then the cell left of the lane or its own
        away = column.unsqueeze(-1) - cells
        near = (away.abs() < NEAR) & (seen > 0).unsqueeze(-1)
        likely = location.log_softmax(-1)
        tent = (1 - (aim.clamp(0, self.grid[1] - 1).unsqueeze(-1) - cells).abs()).clamp_min(0)
        parts = {
            "hm": focal_loss(outputs["hm"], targets["hm"]),
            "column": _mean(((likely.exp() * cells).sum(-1) - aim).abs(), seen),
            "location": _mean(-(tent * likely).sum(-1), seen),
            "offset": _mean((offset + read["shift"].unsqueeze(-1) - away).abs(), near),
            "range": _mean(functional.softplus(read["range"]) - exists * read["range"], torch.ones_like(exists)),
        }
        return {name: WEIGHTS[name] * part for name, part in parts.items()}

    def _draw(self, kernels: Tensor, ground: Tensor, image: Tensor, slot: Tensor) -> Tensor:
        """(N, H, W) what N kernels make of their images' features: one product for each image."""
        most = int(slot.max()) + 1 if len(slot) else 1
        padded = kernels.new_zeros(len(ground), most, kernels.shape[1])
        padded[image, slot] = kernels
        return torch.bmm(padded, ground)[image, slot].view(-1, *self.grid)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp_min(1)
