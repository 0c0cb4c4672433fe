"""A detector of one's own with heads of its own kind: QuantLaneNet (Lam, Du, Pham 2023), made for an FPGA.

Four lanes, from the far left to the far right. Of each, every row of cells says whether it sees the lane, in which of
its cells the lane is, and where in that cell. Written from a description of the published network; neither its
code nor its weights are part of this project. https://github.com/ducamvinh/QuantLaneNet (GPL-3.0) has
checkpoint/checkpoint_141.pth, trained on TuSimple.

export SFCORE_PLUGINS=examples/quantlanenet.py
sfcore detect quantlanenet ROAD.jpg --weights checkpoint_141.pth --out found
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.rows import off_image_to_nan

LANES, CELL = 4, 8  # lanes; pixels of the input that are one cell
SIZE, FRAME = (256, 512), (720, 1280)  # of the input, and of the images that it was trained on
ROWS, COLUMNS = SIZE[0] // CELL, SIZE[1] // CELL
MIDDLE = 3.5  # pixels of the input from the top of a row of cells to where its lane is
SMOOTH = 1e-4  # of the published splines: 1 goes through all points, 0 is a straight line
SLOTS = ("outer left", "left", "right", "outer right")


class ConvNorm(nn.Module):
    """Convolution, norm, ReLU, under the names of the checkpoint."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, padding, dilation)
        self.bn = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Stage(nn.Module):
    """Two wide convolutions, then half the size; dropout, which only training has, is left out."""

    def __init__(self, inside: int, middle: int, outside: int) -> None:
        super().__init__()
        self.conv_same_1 = ConvNorm(inside, middle, padding=2, dilation=2)
        self.conv_same_2 = ConvNorm(middle, middle, padding=2, dilation=2)
        self.conv_down = ConvNorm(middle, outside, 2, 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_down(self.conv_same_2(self.conv_same_1(x)))


def branch() -> nn.Sequential:
    """From features to a number for each lane and cell."""
    return nn.Sequential(ConvNorm(64, 32), ConvNorm(32, 16), ConvNorm(16, 8), nn.Conv2d(8, LANES, 3, padding=1))


def branch_of_rows() -> nn.Sequential:
    """From features to a number for each lane and row: the width is halved until one convolution spans it."""
    halving = ((64, 32), (32, 16), (16, 8))
    halved = [ConvNorm(inside, outside, (3, 2), (1, 2), (1, 0)) for inside, outside in halving]
    return nn.Sequential(*halved, nn.Conv2d(8, LANES, (3, COLUMNS // 8), padding=(1, 0)))


def stiffness(count: int, step: float) -> Tensor:
    """(count, count) K with f'Kf = the integral of the squared second derivative of the natural spline through f, whose
    knots are ``step`` apart."""
    bends = torch.zeros(count, count - 2, dtype=torch.float64)
    for place in range(count - 2):
        bends[place : place + 3, place] = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64) / step
    beside = torch.ones(count - 3, dtype=torch.float64) * step / 6
    lengths = torch.eye(count - 2, dtype=torch.float64) * 2 * step / 3 + beside.diag(1) + beside.diag(-1)
    return bends @ torch.linalg.solve(lengths, bends.T)


@register("quantlanenet", source="https://github.com/ducamvinh/QuantLaneNet")
class QuantLaneNet(Detector):
    """The published network, with logits where it ends in a sigmoid for each row."""

    preprocessing = Preprocessing(SIZE, (0.0,) * 3, (1.0,) * 3)
    heads = (
        Head("place", "semantics", SLOTS, ("logit",) * LANES, "visible", "grid", CELL,
             "For each lane, a score of each cell; the highest of a row says where the lane is."),
        Head("visible", "confidence", SLOTS, ("logit",) * LANES, "visible", "grid", CELL,
             "Whether each row sees the lane."),
        Head("offset", "semantics", SLOTS, ("cell",) * LANES, "visible", "grid", CELL,
             "How far to the right in its cell the lane is."),
    )  # fmt: skip

    columns: Tensor
    bending: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.frame = FRAME
        rows = (torch.arange(ROWS) * CELL + MIDDLE) * FRAME[0] / SIZE[0]
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", torch.arange(COLUMNS, dtype=torch.float32), persistent=False)
        bending = stiffness(ROWS, CELL * FRAME[0] / SIZE[0]) * (1 - SMOOTH) / SMOOTH
        self.register_buffer("bending", bending, persistent=False)
        self.encoder_stage_1, self.encoder_stage_2 = Stage(3, 8, 16), Stage(16, 16, 32)
        self.encoder_stage_3 = Stage(32, 32, 64)
        self.cls_out, self.vertical_out, self.offset_out = branch(), branch_of_rows(), branch()

    def forward(self, images: Tensor) -> Outputs:
        """Place and offset (B, 4, 32, 64), visible (B, 4, 32, 1)."""
        x = self.encoder_stage_3(self.encoder_stage_2(self.encoder_stage_1(images)))
        return {"place": self.cls_out(x), "visible": self.vertical_out(x), "offset": self.offset_out(x).sigmoid()}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        visible = outputs["visible"].sigmoid()
        return visible if head == "visible" else visible * outputs["place"].softmax(-1)

    def decode(self, outputs: Outputs) -> Lanes:
        """A smoothing spline through the rows that see a lane; between these rows it goes on, beyond them it ends."""
        visible = outputs["visible"][..., 0].sigmoid()
        cell = outputs["place"].argmax(-1, keepdim=True)
        x = (cell + outputs["offset"].gather(-1, cell))[..., 0] * CELL * FRAME[1] / SIZE[1]
        seen = visible >= 0.5
        there = seen.sum(-1, keepdim=True) > 1
        within = seen.cummax(-1).values & seen.flip(-1).cummax(-1).values.flip(-1) & there
        x = self.smoothed(x, seen | ~there).masked_fill(~within, float("nan"))
        score = (visible * seen).sum(-1) / seen.sum(-1).clamp_min(1)
        return off_image_to_nan(Lanes(x, score, self.rows, self.frame))

    def smoothed(self, x: Tensor, seen: Tensor) -> Tensor:
        """p Σ (x - f)² over the rows that are seen + (1 - p) ∫ f''², at its least: (W + K (1 - p) / p) f = W x."""
        weights = seen.to(self.bending)
        found = torch.linalg.solve(weights.diag_embed() + self.bending, weights * x.to(self.bending))
        return found.to(x)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """In each row, the mean place by the probability of its cells."""
        place = ((self.columns + outputs["offset"]) * outputs["place"].softmax(-1)).sum(-1)
        return RoadPoints((place * CELL * 640 / SIZE[1]).flatten(1), outputs["visible"].detach().sigmoid().flatten(1))
