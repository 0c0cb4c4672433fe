"""RESA: segmentation with messages from slices far and near (Zheng et al., AAAI 2021).

The network is that of pytorch-auto-drive, whose key names it keeps. Compared with the authors' own code it has batch
norm after the reducer, five iterations, the decoder of the paper and the existence head of ERFNet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Outputs, Preprocessing
from sfcore.detectors.layers import Add, ResNet
from sfcore.detectors.registry import register
from sfcore.detectors.scnn import message_conv
from sfcore.detectors.segmentation import Existence, Reducer, Sampling, Segmentation

SOURCE = "https://github.com/voldemortX/pytorch-auto-drive (Zheng et al., AAAI 2021)"
STRIDE = 8  # of the backbone
EPS = 1e-3  # of the batch norms that come from ERFNet
ALPHA = 2.0  # weight of a message


class FeatureShift(nn.Module):
    """Every slice adds what another tells it, all at once: first one nearby, then farther and farther ones.

    In iteration k of n, from 0 on, the other is length // 2^(n - k) slices away, going on at the other end of the image
    where it ends: x_i ← x_i + α ReLU(conv(x_{i ± shift})). Messages go down, up, to the right and to the left.
    """

    def __init__(self, width: int, iterations: int) -> None:
        super().__init__()
        for name, along_rows in (("conv_d", True), ("conv_u", True), ("conv_r", False), ("conv_l", False)):
            convs = (message_conv(width, along_rows=along_rows, bias=False) for _ in range(iterations))
            self.add_module(name, nn.ModuleList(convs))

    def forward(self, x: Tensor) -> Tensor:
        for name, dim, sign in (("conv_d", 2, -1), ("conv_u", 2, 1), ("conv_r", 3, -1), ("conv_l", 3, 1)):
            convs = list(self.get_submodule(name).children())
            for iteration, conv in enumerate(convs):
                shift = x.shape[dim] // 2 ** (len(convs) - iteration)
                x = torch.add(x, functional.relu(conv(x.roll(sign * shift, dim))), alpha=ALPHA)
        return x


class NonBottleneck(nn.Module):
    """The residual block of ERFNet: two 3×3 convolutions, each split into a column and a row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv3x1_1, self.conv3x1_2 = (nn.Conv2d(width, width, (3, 1), padding=(1, 0)) for _ in range(2))
        self.conv1x3_1, self.conv1x3_2 = (nn.Conv2d(width, width, (1, 3), padding=(0, 1)) for _ in range(2))
        self.bn1, self.bn2 = (nn.BatchNorm2d(width, eps=EPS) for _ in range(2))
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1x3_1(functional.relu(self.conv3x1_1(x))))
        inner = self.bn2(self.conv1x3_2(functional.relu(self.conv3x1_2(functional.relu(inner)))))
        return functional.relu(self.add(inner, x))


class Upsampler(nn.Module):
    """Doubles the resolution on two ways: a fine one that learns it and a coarse one that interpolates."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS)
        self.follows = nn.ModuleList(NonBottleneck(outputs) for _ in range(2))
        self.interpolate_conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.interpolate_bn = nn.BatchNorm2d(outputs, eps=EPS)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        fine = functional.relu(self.bn(self.conv(x)))
        for block in self.follows:
            fine = block(fine)
        coarse = functional.relu(self.interpolate_bn(self.interpolate_conv(x)))
        coarse = functional.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True)
        return self.add(fine, coarse)


class Decoder(nn.Module):
    """Doubles the resolution ``ups`` times, halving the width each time, and makes the map."""

    def __init__(self, width: int, ups: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Upsampler(width // 2**i, width // 2 ** (i + 1)) for i in range(ups))
        self.output_proj = nn.Conv2d(width // 2**ups, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.output_proj(x)


class FeatureExistence(Existence):
    """Existence from features: a rough map of its own comes first."""

    def __init__(self, width: int, rough: int, cells: tuple[int, int], classes: int, hidden: int) -> None:
        super().__init__(cells, classes, hidden)
        conv = nn.Conv2d(width, rough, 3, padding=4, dilation=4, bias=False)
        self.layers = nn.Sequential(conv, nn.BatchNorm2d(rough, eps=EPS))
        self.layers_final = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(rough, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.layers_final(functional.relu(self.layers(x)))
        return super().forward(maps.softmax(1))


class RESA(Segmentation):
    """RESA with the first three stages of a ResNet of basic blocks, the third dilated.

    Args:
        blocks, widths: of the ResNet's stages.
        width: channels of the messages.
        iterations: messages of each direction.
        ups: doublings of the resolution from stride 8 to that of the map.
        rough, hidden: channels and values inside the existence head.
        slots, preprocessing, frame, sampling: as of :class:`Segmentation`.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int],
        widths: tuple[int, int, int],
        width: int,
        iterations: int,
        ups: int,
        rough: int,
        hidden: int,
        slots: int,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        sampling: Sampling,
    ) -> None:
        super().__init__(slots, STRIDE // 2**ups, preprocessing, frame, sampling)
        cells = (preprocessing.size[0] // STRIDE, preprocessing.size[1] // STRIDE)
        self.backbone = ResNet(blocks, widths, (1, 1, 2))
        self.channel_reducer = Reducer(widths[-1], width)
        self.spatial_conv = FeatureShift(width, iterations)
        self.decoder = Decoder(width, ups, slots + 1)
        self.lane_classifier = FeatureExistence(width, rough, cells, slots + 1, hidden)

    def forward(self, images: Tensor) -> Outputs:
        """Outputs: segmentation (B, 1 + K, h, w) and existence (B, K), both logits."""
        x = self.spatial_conv(self.channel_reducer(self.backbone(images)[-1]))
        return {"segmentation": self.decoder(x), "existence": self.lane_classifier(x)}


def _published(blocks: tuple[int, int, int]) -> RESA:
    """The CULane models: whole 1640×590 frames at 800×288, four lanes, a map as large as the input."""
    preprocessing = Preprocessing((288, 800), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    sampling = Sampling(gap=20, points=18)
    return RESA(blocks, (64, 128, 256), 128, 5, 3, 32, 128, 4, preprocessing, (590, 1640), sampling)


@register("resa-small", source=SOURCE)
def resa_small() -> RESA:
    """RESA for CULane: the first three stages of ResNet-18."""
    return _published((2, 2, 2))


@register("resa-mid", source=SOURCE)
def resa_mid() -> RESA:
    """RESA for CULane: the first three stages of ResNet-34."""
    return _published((3, 4, 6))


@register("resa-tiny", weights="resa-tiny.safetensors", source=SOURCE)
def resa_tiny() -> RESA:
    """The same architecture, narrow, trained on the project's rendered scenes.

    It doubles the resolution once; it has a slot for each of up to four lanes on either side.
    """
    preprocessing = Preprocessing((168, 256), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    sampling = Sampling(gap=6, points=42, blur=3)
    return RESA((1, 2, 2), (24, 40, 64), 32, 4, 1, 16, 64, 8, preprocessing, (360, 640), sampling)
