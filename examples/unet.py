"""A detector of one's own: a small U-Net that says, row by row, where each of eight lanes is.

export SFCORE_PLUGINS=examples/unet.py
sfcore check-detector unet
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes

LANES, STRIDE = 8, 4
SLOTS = tuple(f"slot {i + 1}" for i in range(LANES))


def block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


@register("unet", weights=str(Path(__file__).with_name("unet.safetensors")), source="examples/unet.py")
class UNet(Detector):
    heads = (
        Head("exists", "confidence", SLOTS, ("logit",) * LANES, "exists", "image",
             description="Whether each lane is there, from the far left to the far right."),
        Head("place", "semantics", SLOTS, ("logit",) * LANES, "exists", "grid",
             STRIDE, "For each lane, a score of each cell; along a row it says where the lane is."),
        Head("visible", "confidence", SLOTS, ("logit",) * LANES, "visible", "grid",
             STRIDE, "Whether a cell's row sees the lane at all; its mean over the row counts."),
    )  # fmt: skip

    columns: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing((192, 320), (0.45,) * 3, (0.25,) * 3, top=0.3)
        self.frame = (360, 640)
        self.register_buffer("rows", 108 + (torch.arange(48) + 0.5) * 252 / 48 - 0.5, persistent=False)
        self.register_buffer("columns", (torch.arange(80) + 0.5) * 640 / 80 - 0.5, persistent=False)
        self.down1 = nn.Sequential(block(3, 16, 2), block(16, 32, 2))  # stride 4
        self.down2 = nn.Sequential(block(32, 48, 2), block(48, 48))  # stride 8
        self.down3 = nn.Sequential(block(48, 64, 2), *(block(64, 64, 1, d) for d in (1, 2, 4, 2, 1)))  # stride 16
        self.up2, self.up1 = block(64 + 48, 48), block(48 + 32, 48)
        self.up = nn.Upsample(scale_factor=2)
        self.place, self.visible = nn.Conv2d(48, LANES, 1), nn.Conv2d(48, LANES, 1)
        self.exists = nn.Linear(64, LANES)

    def forward(self, images: Tensor) -> Outputs:
        fine = self.down1(images)
        middle = self.down2(fine)
        coarse = self.down3(middle)
        x = self.up1(torch.cat([self.up(self.up2(torch.cat([self.up(coarse), middle], 1))), fine], 1))
        return {"exists": self.exists(coarse.mean((2, 3))), "place": self.place(x), "visible": self.visible(x)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        if head == "visible":
            return outputs["visible"].sigmoid()
        exists = outputs["exists"].sigmoid()
        return exists if head == "exists" else exists[:, :, None, None] * outputs["place"].softmax(-1)

    def columns_of(self, outputs: Outputs) -> Tensor:
        """(B, 8, 48) where each lane is in each row, in pixels of the frame: the mean over the row's cells."""
        return (outputs["place"].softmax(-1) * self.columns).sum(-1)

    def decode(self, outputs: Outputs) -> Lanes:
        score = outputs["exists"].sigmoid()
        seen = (outputs["visible"].mean(-1) > 0) & (score > 0.5)[..., None]
        x = self.columns_of(outputs).masked_fill(~seen, float("nan"))
        return Lanes(x, score, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        weight = outputs["visible"].mean(-1).sigmoid() * outputs["exists"].sigmoid()[..., None]
        return RoadPoints(self.columns_of(outputs).flatten(1), weight.detach().flatten(1))
