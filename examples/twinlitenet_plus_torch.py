"""A detector of one's own in Python: TwinLiteNet+ small or nano (Che et al. 2024), with its batch norms unfolded.

What an .onnx file of it no longer holds (examples/twinlitenet_plus.py) is there: statistics that images are distilled
from. No weights are part of this project; https://github.com/Dileepmeom/TwinLiteNetPlus_Pi (MIT) has
pretrained/small.pth and pretrained/nano.pth.

export SFCORE_PLUGINS=examples/twinlitenet_plus_torch.py
sfcore detect twinlitenet-plus-small ROAD.jpg --weights small.pth --out found
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

SOURCE = "https://github.com/chequanghuy/TwinLiteNetPlus"
CELL = 4  # pixels of the input that are one cell where lanes are read off; lane lines are about twice as wide
BINS = (2, 4)  # rows and columns of the regions that attention looks at one by one
COLOURS = 3


class ConvNorm(nn.Module):
    """Convolution, norm, PReLU."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(outside)
        self.act = nn.PReLU(outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Conv(nn.Module):
    """A convolution under the name that it has in the checkpoints."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inside, outside, kernel, stride, padding, dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Separable(nn.Module):
    """A convolution channel by channel, then one over channels."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.depthwise = nn.Conv2d(inside, inside, kernel, stride, padding, dilation, groups=inside, bias=False)
        self.pointwise = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Pyramid(nn.Module):
    """ESP: convolutions of growing dilation beside each other, each added to the next."""

    def __init__(self, outside: int, part: int, conv: type[nn.Module]) -> None:
        super().__init__()
        self.d1 = conv(part, outside - 4 * part)
        self.d2, self.d4, self.d8, self.d16 = (conv(part, part, dilation=each) for each in (2, 4, 8, 16))

    def together(self, x: Tensor) -> Tensor:
        sums = [self.d2(x)]
        for conv in (self.d4, self.d8, self.d16):
            sums.append(sums[-1] + conv(x))
        return torch.cat([self.d1(x), *sums], 1)


class StridedPyramid(Pyramid):
    """A pyramid at half the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(outside, outside // 5, Conv)
        self.c1 = Conv(inside, outside // 5, 3, 2)
        self.bn = nn.BatchNorm2d(outside, eps=1e-3)
        self.act = nn.PReLU(outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.together(self.c1(x))))


class Norm(nn.Module):
    """Norm and PReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width, eps=1e-3)
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class SeparablePyramid(Pyramid):
    """A pyramid that is added to what it reads."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width // 5, Separable)
        self.c1 = Separable(width, width // 5, 1)
        self.bn = Norm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x + self.together(self.c1(x)))


class Encoder(nn.Module):
    """The image at an eighth of its size, and the image itself at a half and a quarter."""

    def __init__(self, widths: tuple[int, ...], second: int, third: int) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.level1 = ConvNorm(COLOURS, a, 2)
        self.b1 = ConvNorm(a + COLOURS, b)
        self.level2_0 = StridedPyramid(b, c)
        self.level2 = nn.Sequential(*(SeparablePyramid(c) for _ in range(second)))
        self.b2 = ConvNorm(d + COLOURS, d + COLOURS)
        self.level3_0 = StridedPyramid(d + COLOURS, d)
        self.level3 = nn.Sequential(*(SeparablePyramid(d) for _ in range(third)))
        self.b3 = ConvNorm(e, c)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        halve = partial(functional.avg_pool2d, kernel_size=3, stride=2, padding=1)
        half, quarter = halve(images), halve(halve(images))
        strided = self.level2_0(self.b1(torch.cat([self.level1(images), half], 1)))
        deeper = self.level3_0(self.b2(torch.cat([self.level2(strided), strided, quarter], 1)))
        return self.b3(torch.cat([deeper, self.level3(deeper)], 1)), half, quarter


class Graph(nn.Module):
    """Regions exchange what they know of each class."""

    def __init__(self, regions: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(regions, regions, 1, bias=False)
        self.relu = nn.PReLU(regions)
        self.conv2 = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.conv1(x) + x))


class ClassAttention(nn.Module):
    """Class activation attention (CAAM): each pixel looks at what its region and all regions say of each class."""

    def __init__(self, width: int) -> None:
        super().__init__()
        regions, inner = BINS[0] * BINS[1], width // 2
        self.conv_cam = nn.Conv2d(width, width, 1)
        self.gcn = Graph(regions, width)
        self.fuse = nn.Conv2d(regions, 1, 1)
        self.relu = nn.PReLU(1)
        self.proj_query, self.proj_key, self.proj_value = (nn.Linear(width, inner) for _ in range(3))
        self.pool, self.look, self.mix = MatMul(), MatMul(), MatMul()  # modules, so that what they read is quantized
        self.conv_out = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))

    def forward(self, x: Tensor) -> Tensor:
        cam = self.conv_cam(x)
        sure = functional.adaptive_avg_pool2d(cam, BINS).sigmoid().flatten(2).transpose(1, 2).unsqueeze(3)
        maps, pixels = self.regions(cam), self.regions(x)  # (B, regions, pixels, channels)
        local = self.gcn(self.pool(maps.softmax(2).transpose(2, 3), pixels) * sure)  # (B, regions, classes, channels)
        every = self.relu(self.fuse(local)).expand_as(local)
        query, key, value = self.proj_query(pixels), self.proj_key(local), self.proj_value(every)
        looked = self.mix(self.look(query, key.transpose(2, 3)).softmax(-1), value)
        return x + self.conv_out(self.whole(looked, x.shape[-2:]))

    @staticmethod
    def regions(x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, regions, pixels of one, C)."""
        count, channels, height, width = x.shape
        rows, columns = BINS
        split = x.reshape(count, channels, rows, height // rows, columns, width // columns)
        return split.permute(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1, channels)

    @staticmethod
    def whole(x: Tensor, size: torch.Size) -> Tensor:
        """What :meth:`regions` took apart."""
        count, channels, (height, width), (rows, columns) = len(x), x.shape[-1], size, BINS
        split = x.reshape(count, rows, columns, height // rows, width // columns, channels)
        return split.permute(0, 5, 1, 3, 2, 4).reshape(count, channels, height, width)


class Doubled(nn.Module):
    """Twice the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(inside, outside, 2, 2, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=1e-3)
        self.act = nn.PReLU(outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.deconv(x)))


class Up(nn.Module):
    """Twice the size, with the image of that size beside it where there is one."""

    def __init__(self, inside: int, outside: int, last: bool = False) -> None:
        super().__init__()
        self.up_conv = Doubled(inside, outside)
        if not last:
            self.conv1 = ConvNorm(outside + COLOURS, outside)
        self.conv2 = ConvNorm(outside, outside)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        x = self.up_conv(x)
        return self.conv2(x if image is None else self.conv1(torch.cat([x, image], 1)))


class TwinLiteNetPlus(Detector):
    """The published network; what lanes are read off is its map of lane lines."""

    preprocessing = Preprocessing((384, 640), (0.0,) * 3, (1.0,) * 3)
    heads = (
        Head("lane", "semantics", ("background", "lane"), ("logit",) * 2, "lane", "grid", 1,
             "Whether each pixel shows a lane line; where it does is where the lane is."),
        Head("drivable", "confidence", ("background", "drivable"), ("logit",) * 2, "drivable", "grid", 1,
             "Whether one can drive on each pixel; no lane is read off it."),
    )  # fmt: skip

    columns: Tensor

    def __init__(self, widths: tuple[int, ...], second: int, third: int) -> None:
        super().__init__()
        self.encoder = Encoder(widths, second, third)
        self.caam = ClassAttention(widths[2])
        self.conv_caam = ConvNorm(widths[2], widths[1])
        self.up_1_da, self.up_1_ll = (Up(widths[1], widths[0]) for _ in range(2))
        self.up_2_da, self.up_2_ll = (Up(widths[0], 8) for _ in range(2))
        self.out_da, self.out_ll = (Up(8, 2, last=True) for _ in range(2))
        self.frame = (360, 640)
        self.register_buffer("rows", cell_centres(384 // CELL, 360), persistent=False)
        self.register_buffer("columns", cell_centres(640 // CELL, 640), persistent=False)

    def forward(self, images: Tensor) -> Outputs:
        """Both maps, (B, 2, 384, 640) logits each."""
        found, half, quarter = self.encoder(images)
        found = self.conv_caam(self.caam(found))
        lane = self.out_ll(self.up_2_ll(self.up_1_ll(found, quarter), half))
        drivable = self.out_da(self.up_2_da(self.up_1_da(found, quarter), half))
        return {"lane": lane, "drivable": drivable}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[head].softmax(1)[:, 1:]

    def lane_map(self, outputs: Outputs) -> Tensor:
        """(B, 96, 160) probability that a cell shows a lane line."""
        return functional.avg_pool2d(self.confidence(outputs, "lane"), CELL)[:, 0]

    def decode(self, outputs: Outputs) -> Lanes:
        return lanes_of_map(self.lane_map(outputs), self.columns, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return points_of_map(self.lane_map(outputs), self.columns)


@register("twinlitenet-plus-small", source=SOURCE)
def small() -> TwinLiteNetPlus:
    """122,835 numbers."""
    return TwinLiteNetPlus((8, 16, 32, 64, 128), 2, 3)


@register("twinlitenet-plus-nano", source=SOURCE)
def nano() -> TwinLiteNetPlus:
    """33,931 numbers."""
    return TwinLiteNetPlus((4, 8, 16, 32, 64), 1, 1)
