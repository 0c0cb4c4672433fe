"""Lane detectors small enough to be worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.layers import BasicBlock, MatMul
from sfcore.tasks.lanes import Lanes


def upright(column: Tensor, score: Tensor, rows: Tensor, frame: tuple[int, int]) -> Lanes:
    """Vertical lanes: (B, L, 1) columns in pixels of the frame, and confidences."""
    return Lanes(column.expand(-1, -1, len(rows)).contiguous(), score.squeeze(-1), rows, frame)


class Posts(Detector):
    """Lanes are vertical lines: "place" is their column in px, "logit" above 0 draws them, "idle" does nothing."""

    heads = (
        Head("logit", "confidence", ("lane",), ("logit",), "logit", "query"),
        Head("place", "semantics", ("column",), ("px",), "logit", "query"),
        Head("idle", "semantics", ("nothing", "at all"), ("none",) * 2, "logit", "image"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.frame = (360, 640)
        self.rows = even_rows(360, 10.0, start=180.0)
        self.scale = nn.Parameter(torch.ones(()))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        lane = outputs["logit"].sigmoid()
        return lane.amax(1) if self.head(head).layout == "image" else lane

    def decode(self, outputs: Outputs) -> Lanes:
        x = outputs["place"].expand(-1, -1, len(self.rows))
        drawn = outputs["logit"] > 0
        return Lanes(torch.where(drawn, x, torch.nan), outputs["logit"].sigmoid()[..., 0], self.rows, self.frame)


class Small(Detector):
    """Two vertical lanes, each at the column that a semantic head says."""

    heads = (
        Head("logits", "confidence", ("lane",), ("logit",), "logits", "query"),
        Head("column", "semantics", ("x",), ("px",), "logits", "query"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing((32, 64), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        self.frame = (32, 64)
        self.register_buffer("rows", even_rows(32, 2.0))
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.block = BasicBlock(8, 8, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.product = MatMul()
        self.middle = nn.Linear(8, 8)
        self.classify = nn.Linear(8, 2)
        self.place = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Outputs:
        x = self.block(torch.relu(self.norm(self.stem(images)))).flatten(2).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = self.product(x.softmax(-1).transpose(1, 2), x).mean(1)
        x = torch.relu(self.middle(x))
        return {"logits": self.classify(x).unsqueeze(-1), "column": 32 + 8 * self.place(x).unsqueeze(-1)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["logits"].sigmoid()

    def decode(self, outputs: Outputs) -> Lanes:
        return upright(outputs["column"], outputs["logits"].sigmoid(), self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        position = outputs["column"].flatten(1) * 10
        return RoadPoints(position, outputs["logits"].detach().sigmoid().flatten(1))
