"""A small detector of convolutions, attention and a matrix product, for the tests of quantization."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.layers import BasicBlock, MatMul
from sfcore.tasks.lanes import Lanes


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
        score = outputs["logits"].sigmoid().squeeze(-1)
        return Lanes(outputs["column"].expand(-1, -1, len(self.rows)).contiguous(), score, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        position = outputs["column"].flatten(1) * 10
        return RoadPoints(position, outputs["logits"].detach().sigmoid().flatten(1))


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    detector = Small()
    for norm in (m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
    return detector.eval().requires_grad_(False)


@pytest.fixture
def pixels() -> Tensor:
    """(24, 3, 32, 64) uint8."""
    return torch.randint(0, 256, (24, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
