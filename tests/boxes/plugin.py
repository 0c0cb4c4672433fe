"""A detector of boxes that needs no training: bright squares of 8 px on a dark image of 64 × 64 px."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.registry import register
from sfcore.tasks.boxes2d import Boxes2d

SIDE, CELL, MOST = 64, 8, 8


@register("spots")
class Spots(Detector):
    """The brightness of a cell says whether a square is there."""

    task_name = "boxes2d"
    heads = (
        Head("hm", "confidence", ("spot",), ("logit",), "hm", "grid", CELL, "Whether a square is there."),
        Head("wh", "semantics", ("width", "height"), ("px",) * 2, "hm", "grid", CELL, "How large it is."),
    )
    preprocessing = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))

    def __init__(self) -> None:
        super().__init__()
        self.light = nn.Conv2d(3, 1, CELL, CELL)
        self.hm, self.wh = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 2, 1)
        with torch.no_grad():
            for layer, weight, bias in ((self.light, 1 / (3 * CELL**2), 0), (self.hm, 12, -6), (self.wh, 0.01, CELL)):
                layer.weight.fill_(weight)
                layer.bias.fill_(bias)

    def forward(self, inputs: Tensor) -> Outputs:
        x = torch.relu(self.light(inputs))
        return {"hm": self.hm(x), "wh": self.wh(x)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["hm"].sigmoid()

    def decode(self, outputs: Outputs) -> Boxes2d:
        return self._boxes(outputs, 0.3)

    def candidates(self, outputs: Outputs) -> Boxes2d:
        return self._boxes(outputs, 0.05)

    def corners(self, outputs: Outputs) -> RoadPoints:
        box = self._sides(outputs["wh"]) * (640 / SIDE)
        weight = outputs["hm"].detach().sigmoid().expand(-1, 4, -1, -1)
        return RoadPoints(box.flatten(1), weight.flatten(1))

    def _sides(self, wh: Tensor) -> Tensor:
        """(B, 4, H, W) a box in each cell, in pixels."""
        at = (torch.arange(wh.shape[-1], device=wh.device) + 0.5) * CELL
        centre = torch.stack(torch.meshgrid(at, at, indexing="xy")).expand_as(wh)
        return torch.cat([centre - wh / 2, centre + wh / 2], 1)

    def _boxes(self, outputs: Outputs, least: float) -> Boxes2d:
        score, place = outputs["hm"].sigmoid().flatten(1).topk(MOST)
        wh = outputs["wh"].clamp(0, SIDE)
        box = self._sides(wh).flatten(2).gather(2, place.unsqueeze(1).expand(-1, 4, -1)).transpose(1, 2)
        gone = score <= least
        box, score = box.masked_fill(gone.unsqueeze(2), torch.nan), score.masked_fill(gone, 0.0)
        return Boxes2d(box, score, torch.zeros_like(place), ("spot",), (SIDE, SIDE))
