"""A detector of one's own in Python: TwinLiteNet (Che et al. 2023), two maps from one small encoder.

No weights are part of this project; https://github.com/chequanghuy/TwinLiteNet (MIT) has pretrained/best.pth, trained
on BDD100K.

export SFCORE_PLUGINS=examples/twinlitenet.py
sfcore detect twinlitenet ROAD.jpg --weights best.pth --out found
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.layers import MatMul
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.maps import cell_centres, lanes_of_map, points_of_map

SIZE = (360, 640)
CELL = 4  # pixels of the input that are one cell where lanes are read off; lane lines are about twice as wide
COLOURS = 3


class Norm(nn.Module):
    """Norm and PReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(width, eps=1e-3), nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class ConvNorm(Norm):
    """Convolution, norm, PReLU, under the names of the checkpoint."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(outside)
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.conv(x))


class Conv(nn.Module):
    """A convolution under the name that it has in the checkpoint."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2 * dilation, dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Pyramid(nn.Module):
    """ESP: convolutions of growing dilation beside each other, each added to the next."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int) -> None:
        super().__init__()
        part = outside // 5
        self.c1, self.d1 = Conv(inside, part, kernel, stride), Conv(part, outside - 4 * part)
        self.d2, self.d4, self.d8, self.d16 = (Conv(part, part, dilation=each) for each in (2, 4, 8, 16))

    def together(self, x: Tensor) -> Tensor:
        x = self.c1(x)
        sums = [self.d2(x)]
        for conv in (self.d4, self.d8, self.d16):
            sums.append(sums[-1] + conv(x))
        return torch.cat([self.d1(x), *sums], 1)


class StridedPyramid(Pyramid):
    """A pyramid at half the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 3, 2)
        self.bn, self.act = nn.BatchNorm2d(outside, eps=1e-3), nn.PReLU(outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.together(x)))


class AddedPyramid(Pyramid):
    """A pyramid that is added to what it reads."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 1, 1)
        self.bn = Norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x + self.together(x))


class PositionAttention(nn.Module):
    """Each cell gathers from all others; products of activations are modules, so that they are quantized."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_conv, self.key_conv = (nn.Conv2d(width, width // 8, 1) for _ in range(2))
        self.value_conv = nn.Conv2d(width, width, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.look, self.mix = MatMul(), MatMul()

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (conv(x).flatten(2) for conv in (self.query_conv, self.key_conv, self.value_conv))
        shares = self.look(query.transpose(1, 2), key).softmax(-1)
        return self.gamma * self.mix(value, shares.transpose(1, 2)).unflatten(2, x.shape[2:]) + x


class ChannelAttention(nn.Module):
    """Each channel gathers from all others, most from those that it is least like."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.look, self.mix = MatMul(), MatMul()

    def forward(self, x: Tensor) -> Tensor:
        value = x.flatten(2)
        likeness = self.look(value, value.transpose(1, 2))
        shares = (likeness.amax(-1, keepdim=True) - likeness).softmax(-1)
        return self.gamma * self.mix(shares, value).unflatten(2, x.shape[2:]) + x


class Encoder(nn.Module):
    """The image at an eighth of its size."""

    def __init__(self, second: int = 2, third: int = 3) -> None:
        super().__init__()
        self.level1, self.b1 = ConvNorm(COLOURS, 16, 3, 2), ConvNorm(16 + COLOURS, 16 + COLOURS)
        self.level2_0 = StridedPyramid(16 + COLOURS, 64)
        self.level2 = nn.Sequential(*(AddedPyramid(64) for _ in range(second)))
        self.b2 = ConvNorm(128 + COLOURS, 128 + COLOURS)
        self.level3_0 = StridedPyramid(128 + COLOURS, 128)
        self.level3 = nn.Sequential(*(AddedPyramid(128) for _ in range(third)))
        self.b3 = ConvNorm(256, 32)
        self.sa, self.sc = PositionAttention(32), ChannelAttention()
        self.conv_sa, self.conv_sc, self.classifier = ConvNorm(32, 32), ConvNorm(32, 32), ConvNorm(32, 32, 1)

    def forward(self, images: Tensor) -> Tensor:
        halve = partial(functional.avg_pool2d, kernel_size=3, stride=2, padding=1)
        half = halve(images)
        strided = self.level2_0(self.b1(torch.cat([self.level1(images), half], 1)))
        deeper = self.level3_0(self.b2(torch.cat([self.level2(strided), strided, halve(half)], 1)))
        found = self.b3(torch.cat([deeper, self.level3(deeper)], 1))
        return self.classifier(self.conv_sa(self.sa(found)) + self.conv_sc(self.sc(found)))


class Up(Norm):
    """Twice the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(outside)
        self.deconv = nn.ConvTranspose2d(inside, outside, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.deconv(x))


@register("twinlitenet", source="https://github.com/chequanghuy/TwinLiteNet")
class TwinLiteNet(Detector):
    """The published network; what lanes are read off is its map of lane lines."""

    preprocessing = Preprocessing(SIZE, (0.0,) * 3, (1.0,) * 3)
    heads = (
        Head("lane", "semantics", ("background", "lane"), ("logit",) * 2, "lane", "grid", 1,
             "Whether each pixel shows a lane line; where it does is where the lane is."),
        Head("drivable", "confidence", ("background", "drivable"), ("logit",) * 2, "drivable", "grid", 1,
             "Whether one can drive on each pixel; no lane is read off it."),
    )  # fmt: skip

    columns: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.frame = SIZE
        self.register_buffer("rows", cell_centres(SIZE[0] // CELL, SIZE[0]), persistent=False)
        self.register_buffer("columns", cell_centres(SIZE[1] // CELL, SIZE[1]), persistent=False)
        self.encoder = Encoder()
        self.up_1_1, self.up_1_2 = Up(32, 16), Up(32, 16)  # of drivable area, of lane lines
        self.up_2_1, self.up_2_2 = Up(16, 8), Up(16, 8)
        self.classifier_1, self.classifier_2 = Up(8, 2), Up(8, 2)

    def forward(self, images: Tensor) -> Outputs:
        """Both maps, (B, 2, 360, 640) logits each."""
        found = self.encoder(images)
        drivable = self.classifier_1(self.up_2_1(self.up_1_1(found)))
        return {"lane": self.classifier_2(self.up_2_2(self.up_1_2(found))), "drivable": drivable}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[head].softmax(1)[:, 1:]

    def lane_map(self, outputs: Outputs) -> Tensor:
        """(B, 90, 160) probability that a cell shows a lane line."""
        return functional.avg_pool2d(self.confidence(outputs, "lane"), CELL)[:, 0]

    def decode(self, outputs: Outputs) -> Lanes:
        return lanes_of_map(self.lane_map(outputs), self.columns, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return points_of_map(self.lane_map(outputs), self.columns)
