"""Targets and loss of CenterPoint (Yin et al. 2021; weights of its Waymo configuration).

One part is ours: the axis. Which end of a vehicle is its front is hard to see, and while it is not known the published
absolute errors of sine and cosine leave the angle itself open; the axis is the same either way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.centerpoint import CenterPoint
from sfcore.detectors.centerpoint_decode import taught
from sfcore.detectors.heat_maps import focal_loss
from sfcore.tasks.boxes3d import Boxes3d
from sfcore.training.objective import Targets, register

REGRESSIONS = {"reg": 2, "height": 1, "dim": 3, "rot": 2}  # channels
WEIGHT = 2.0  # of each of them, beside the heat map
SHORT = 0.05  # square of the length of a sine and cosine that mean little


@register("centerpoint-pillar-tiny", "centerpoint-pillar-waymo")
class CenterPointObjective:
    """Heat map by focal loss; of the cell of each box's centre, the absolute error of what it says of the box."""

    def __init__(self, detector: Detector) -> None:
        if not isinstance(detector, CenterPoint) or len(detector.groups) > 1:
            raise TypeError(f"this objective trains CenterPoint of one group, not {type(detector).__name__}")
        self.grid, self.classes = detector.grid, len(detector.names)

    def targets(self, objects: Sequence[Sequence[np.ndarray]]) -> Targets:
        """What each sweep should say.

        Args:
            objects: of each sweep, its boxes, (9,) each: seven numbers, the label, a score.

        Returns:
            hm (B, C, h, w); of L slots, cell (B, L) counted row by row and there (B, L) bool, which hold a box; reg,
            height, dim and rot (B, L, channels), 0 where there is none.
        """
        box, _, label = Boxes3d.padded(objects)
        heat, cell, there = taught(box, label, self.classes, self.grid)
        place = (box[..., :2] - box.new_tensor(self.grid.corner)) / self.grid.cell
        yaw = box[..., 6]
        found = {
            "reg": place - place.floor(),
            "height": box[..., 2:3],
            "dim": box[..., 3:6].log(),
            "rot": torch.stack([yaw.sin(), yaw.cos()], -1),
        }
        known = {name: value.where(there.unsqueeze(-1), 0.0) for name, value in found.items()}
        return {"hm": heat, "cell": cell, "there": there, **known}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        there = targets["there"]

        def mean(error: Tensor) -> Tensor:
            return WEIGHT * (error.abs().sum(-1) * there).sum() / there.sum().clamp_min(1)

        parts = {"hm": focal_loss(outputs["hm"], targets["hm"])}
        for name, channels in REGRESSIONS.items():
            index = targets["cell"].unsqueeze(1).expand(-1, channels, -1)
            said = outputs[name].flatten(2).gather(2, index).transpose(1, 2)
            parts[name] = mean(said - targets[name])
            if name == "rot":
                parts["axis"] = mean(_axis(said) - _axis(targets[name]))
        return parts


def _axis(rot: Tensor) -> Tensor:
    """(…, 2) sine and cosine of twice the angle of (…, 2); of no length where that has hardly any."""
    sin, cos = rot.unbind(-1)
    double = torch.stack([2 * sin * cos, cos.square() - sin.square()], -1)
    return double / (rot.square().sum(-1, keepdim=True) + SHORT)
