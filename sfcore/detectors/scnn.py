"""SCNN: segmentation with messages passed across the image, row by row and column by column (Pan et al., AAAI 2018).

The network is that of pytorch-auto-drive, whose key names it keeps: a dilated ResNet, 128 channels of messages.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Outputs, Preprocessing
from sfcore.detectors.layers import ResNet
from sfcore.detectors.registry import register
from sfcore.detectors.segmentation import Existence, Reducer, Sampling, Segmentation

SOURCE = "https://github.com/voldemortX/pytorch-auto-drive (Pan et al., AAAI 2018)"
REACH = 9  # cells of a slice that one message comes from


def message_conv(width: int, *, along_rows: bool, bias: bool) -> nn.Conv2d:
    """The convolution that makes a slice's message: along a row, for slices that are rows, or along a column."""
    kernel, padding = (1, REACH), (0, REACH // 2)
    if not along_rows:
        kernel, padding = kernel[::-1], padding[::-1]
    conv = nn.Conv2d(width, width, kernel, padding=padding, bias=bias)
    bound = math.sqrt(2 / (width * REACH * 5))  # messages add up over many slices, so they start small
    nn.init.uniform_(conv.weight, -bound, bound)
    return conv


class SpatialConv(nn.Module):
    """Passes messages down, up, to the right and to the left: each slice adds what the one before tells it.

    slice_i ← slice_i + ReLU(conv(slice_{i-1})), one slice after the other. As published, the last slice on the way
    back (the first row, the first column) is told nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_d = message_conv(width, along_rows=True, bias=True)
        self.conv_u = message_conv(width, along_rows=True, bias=True)
        self.conv_r = message_conv(width, along_rows=False, bias=True)
        self.conv_l = message_conv(width, along_rows=False, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        for dim, there, back in ((2, self.conv_d, self.conv_u), (3, self.conv_r, self.conv_l)):
            slices = list(x.split(1, dim))
            for i in range(1, len(slices)):
                slices[i] = slices[i] + functional.relu(there(slices[i - 1]))
            for i in range(len(slices) - 2, 0, -1):
                slices[i] = slices[i] + functional.relu(back(slices[i + 1]))
            x = torch.cat(slices, dim)
        return x


class Classifier(nn.Module):
    """The convolution that makes the map."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class SCNN(Segmentation):
    """SCNN with a ResNet of basic blocks.

    Args:
        blocks, widths, dilations: of the ResNet's stages.
        stride: of its last stage, which is that of the map.
        width: channels of the messages.
        hidden: values inside the existence head.
        slots, preprocessing, frame, sampling: as of :class:`Segmentation`.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        dilations: tuple[int, ...],
        stride: int,
        width: int,
        hidden: int,
        slots: int,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        sampling: Sampling,
    ) -> None:
        super().__init__(slots, stride, preprocessing, frame, sampling)
        cells = (preprocessing.size[0] // stride, preprocessing.size[1] // stride)
        self.backbone = ResNet(blocks, widths, dilations)
        self.channel_reducer = Reducer(widths[-1], width)
        self.scnn_layer = SpatialConv(width)
        self.classifier = nn.Sequential(Classifier(width, slots + 1))
        self.lane_classifier = Existence(cells, slots + 1, hidden)

    def forward(self, images: Tensor) -> Outputs:
        """Outputs: segmentation (B, 1 + K, h, w) and existence (B, K), both logits."""
        x = self.scnn_layer(self.channel_reducer(self.backbone(images)[-1]))
        maps = self.classifier(x)
        return {"segmentation": maps, "existence": self.lane_classifier(maps.softmax(1))}


def _published(blocks: tuple[int, ...]) -> SCNN:
    """The CULane models: whole 1640×590 frames at 800×288, four lanes, a map at stride 8."""
    preprocessing = Preprocessing((288, 800), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    sampling = Sampling(gap=20, points=18)
    widths, dilations = (64, 128, 256, 512), (1, 1, 2, 4)
    return SCNN(blocks, widths, dilations, 8, 128, 128, 4, preprocessing, (590, 1640), sampling)


@register("scnn-small", source=SOURCE)
def scnn_small() -> SCNN:
    """SCNN for CULane: ResNet-18."""
    return _published((2, 2, 2, 2))


@register("scnn-mid", source=SOURCE)
def scnn_mid() -> SCNN:
    """SCNN for CULane: ResNet-34."""
    return _published((3, 4, 6, 3))


@register("scnn-tiny", weights="scnn-tiny.safetensors", source=SOURCE)
def scnn_tiny() -> SCNN:
    """The same architecture, narrow, trained on the project's rendered scenes.

    Its input is smaller, so the map has a finer stride; it has a slot for each of up to four lanes on either side.
    """
    preprocessing = Preprocessing((168, 256), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    sampling = Sampling(gap=6, points=42, blur=3)
    return SCNN((1, 1, 1, 1), (16, 32, 48, 48), (1, 2, 4, 8), 4, 32, 32, 8, preprocessing, (360, 640), sampling)
