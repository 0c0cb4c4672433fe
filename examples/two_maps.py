"""A detector that puts out maps alone: where lane lines are, and where one can drive; its lanes are read off the first.

The network is of the kind of TwinLiteNet (Che et al. 2023): one encoder with attention over its smallest map, and two
decoders of transposed convolutions, each with two channels, "not" and "yes".

export SFCORE_PLUGINS=examples/two_maps.py
sfcore check-detector two-maps
"""

from __future__ import annotations

from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.layers import MatMul
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.maps import cell_centres, lanes_of_map, points_of_map

STRIDE = 2  # pixels of the input per cell of the maps


def block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.PReLU(outputs))


class Attention(nn.Module):
    """Each cell of a map gathers from all others; products of activations are modules, so that they are quantized."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.scores, self.mix = MatMul(), MatMul()

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = (self.scores(query.transpose(1, 2), key) / query.shape[1] ** 0.5).softmax(-1)
        return x + self.mix(value, weights.transpose(1, 2)).unflatten(2, x.shape[2:])


class Decoder(nn.Module):
    """From stride 8 to the two channels of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up1, self.up2 = nn.ConvTranspose2d(width, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.norm1, self.norm2 = nn.BatchNorm2d(16), nn.BatchNorm2d(8)
        self.act1, self.act2, self.out = nn.PReLU(16), nn.PReLU(8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act2(self.norm2(self.up2(self.act1(self.norm1(self.up1(x)))))))


@register("two-maps", source="examples/two_maps.py")
class TwoMaps(Detector):
    # The lane map says where a lane is *and* whether one is: it is semantics, and its own confidence.
    heads = (
        Head("lane", "semantics", ("background", "lane"), ("logit",) * 2, "lane", "grid", STRIDE,
             "Whether each cell shows a lane line; where it does is where the lane is."),
        Head("drivable", "confidence", ("background", "drivable"), ("logit",) * 2, "drivable", "grid", STRIDE,
             "Whether one can drive on each cell; no lane is read off it."),
    )  # fmt: skip

    columns: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing((96, 160), (0.0,) * 3, (1.0,) * 3)
        self.frame = (360, 640)
        self.register_buffer("rows", cell_centres(48, 360), persistent=False)  # of the maps
        self.register_buffer("columns", cell_centres(80, 640), persistent=False)
        self.encoder = nn.Sequential(block(3, 16, 2), block(16, 32, 2), block(32, 48, 2), block(48, 48, 1, 2))
        self.attention = Attention(48)
        self.lane, self.drivable = Decoder(48), Decoder(48)

    def forward(self, images: Tensor) -> Outputs:
        x = self.attention(self.encoder(images))
        return {"lane": self.lane(x), "drivable": self.drivable(x)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[head].softmax(1)[:, 1:]

    def decode(self, outputs: Outputs) -> Lanes:
        return lanes_of_map(outputs["lane"].softmax(1)[:, 1], self.columns, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return points_of_map(outputs["lane"].softmax(1)[:, 1], self.columns)
