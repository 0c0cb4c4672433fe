"""Training LaneATT on labelled lanes: which anchors stand for a lane, and what they should say about it.

As in the published training, an anchor is matched with a lane by their mean sideways distance over shared rows.
Beyond it, the nearest anchors of every lane stand for it however far they are, since a small fan has few; and
rows below an anchor's start are taught too, since the decode shows them down to where the lane leaves the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.laneatt import ROWS, LaneATT
from sfcore.tasks.lanes import Polyline
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.training.objective import Targets, register

NEAREST = 4  # anchors that stand for a lane at least
# In pixels at 640 px image width:
NEAR, FAR = 15.0, 30.0  # nearer anchors stand for a lane too; those farther from every lane stand for none
REACH = 80.0  # beyond, not even the nearest anchors stand for a lane
MARGIN = 32.0  # beside the image, within which a lane's place matters
WEIGHTS = {"logits": 2.5, "length": 0.2, "offset": 0.3}


def rows_of(line: Polyline, heights: np.ndarray) -> np.ndarray | None:
    """A lane's column at each of ``heights`` (R,), which fall; NaN above its end, a straight line on below its start.

    Returns:
        None where it crosses less than two of them.
    """
    line = np.asarray(line, np.float64)
    line = line[np.argsort(line[:, 1], kind="stable")]
    x = np.interp(heights, line[:, 1], line[:, 0], left=np.nan, right=np.nan)
    known = np.flatnonzero(~np.isnan(x))
    if len(known) < 2:
        return None
    first = known[0]
    x[:first] = x[first] + (x[first] - x[first + 1]) * (first - np.arange(first))
    return x


def focal_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Focal loss of two classes (Lin et al. 2017, eq. 4; γ = 2) by the number of lanes; labels below 0 do not count."""
    chance = logits.log_softmax(-1).gather(-1, label.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    loss = -(1 - chance.exp()).square() * chance
    return (loss * (label >= 0)).sum() / (label == 1).sum().clamp_min(1)


@register("laneatt-tiny", "laneatt-small", "laneatt-mid")
class LaneATTObjective:
    """Focal loss of the logits; absolute errors of the length in rows, of the offset in pixels across the lane."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, LaneATT):
            raise TypeError(f"this objective trains LaneATT, not {type(detector).__name__}")
        self.starts, self.lines, self.base = (
            value.cpu() for value in (detector.starts, detector.lines, detector.anchors[:, 3])
        )
        height, self.width = detector.preprocessing.size
        self.step, self.unit = height / (ROWS - 1), self.width / REFERENCE_WIDTH
        self.heights = detector.top + np.linspace(1, 0, ROWS) * (detector.frame[0] - detector.top)
        self.scale = self.width / detector.frame[1]

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """What each anchor should say.

        Returns:
            logits (B, A) long: 1 lane, 0 none, -1 either; for those with a lane: length (B, A) in rows; offset
            (B, A, R) in pixels; weight (B, A, R): a row's share, by how far a step sideways leads across the lane.
        """
        x, margin = self._columns(lanes), MARGIN * self.unit
        known = ~x.isnan()
        last = ROWS - 1 - known.flip(-1).int().argmax(-1)
        label, lane = self._match(x)
        x, known, last = (value[torch.arange(len(x)).unsqueeze(1), lane] for value in (x, known, last))
        x = x.clamp(-margin, self.width + margin).nan_to_num()
        slope = functional.pad(x.diff(dim=-1), (1, 0), mode="replicate") / self.step
        known = known & (label == 1).unsqueeze(-1)
        weight = known / (1 + slope.square()).sqrt() / known.sum(-1, keepdim=True).clamp_min(1)
        length = (last - self.starts + 1 - self.base) * (label == 1)
        return {"logits": label, "length": length, "offset": x - self.lines, "weight": weight}

    def _columns(self, lanes: Sequence[Sequence[Polyline]]) -> Tensor:
        """(B, L, R) the lanes' columns in input pixels; NaN above their ends and for lanes that are none."""
        found = [[rows_of(line, self.heights) for line in lines] for lines in lanes]
        kept = [[x * self.scale for x in columns if x is not None] for columns in found]
        table = np.full((len(kept), max(1, *map(len, kept)), ROWS), np.nan, np.float32)
        for image, columns in enumerate(kept):
            for slot, x in enumerate(columns):
                table[image, slot] = x
        return torch.from_numpy(table)

    def _match(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) long: the label of each anchor; (B, A) long: the lane nearest to it."""
        inside = (x >= 0) & (x < self.width)
        shared = inside.unsqueeze(1) & (torch.arange(ROWS) >= self.starts.unsqueeze(1)).unsqueeze(1)
        number = shared.sum(-1)
        distance = ((x.unsqueeze(1) - self.lines.unsqueeze(1)).abs().nan_to_num() * shared).sum(-1) / number
        # An anchor that starts above the middle of the lane saw too little of it.
        distance = distance.masked_fill((number == 0) | (2 * number < inside.sum(-1).unsqueeze(1)), torch.inf)
        nearest, lane = distance.min(2)
        limit = distance.topk(NEAREST, 1, largest=False).values[:, -1].clamp(NEAR * self.unit, REACH * self.unit)
        stands = nearest <= limit.gather(1, lane)
        return torch.where(stands, 1, torch.where(nearest > FAR * self.unit, 0, -1)), lane

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        label, weight = targets["logits"], targets["weight"]
        number = (label == 1).sum().clamp_min(1)
        lines = self.lines.to(weight.device)
        found, wanted = outputs["offset"] + lines, targets["offset"] + lines
        # Where a lane has left the image it only has to stay outside.
        margin = MARGIN * self.unit
        gone = (torch.maximum(found, wanted) <= -margin) | (torch.minimum(found, wanted) >= self.width + margin)
        length = (outputs["length"].squeeze(-1) - targets["length"]).abs() * (label == 1)
        parts = {
            "logits": focal_loss(outputs["logits"], label),
            "length": length.sum() / number,
            "offset": ((found - wanted).abs() * weight * ~gone).sum() / number,
        }
        return {name: WEIGHTS[name] * part for name, part in parts.items()}
