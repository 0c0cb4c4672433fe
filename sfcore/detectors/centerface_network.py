"""The network of CenterFace: MobileNetV2, three transposed convolutions that join its stages, and four heads.

Batch norms of the published file are in its convolutions, but for the three after transposed ones.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict

from torch import Tensor, nn

from sfcore.detectors.base import Outputs
from sfcore.detectors.layers import Add

WIDTH = 24  # channels of the neck
# Of each stage: how much wider its blocks are within, channels, blocks, and stride of the first (Sandler et al. 2018).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
JOINED = {1: 24, 2: 32, 4: 96, 6: 320}  # the last stages at strides 4, 8, 16 and 32, and their channels
HEADS = {"pos": 1, "reg": 2, "off": 2, "lm": 10}


class Bottleneck(nn.Module):
    """MobileNetV2's block: wider, depthwise, narrower; added to its input where that has the same shape."""

    def __init__(self, inputs: int, outputs: int, stride: int, wider: int) -> None:
        super().__init__()
        inside = inputs * wider
        layers: list[nn.Module] = [] if wider == 1 else [nn.Conv2d(inputs, inside, 1), nn.ReLU()]
        depthwise = nn.Conv2d(inside, inside, 3, stride, 1, groups=inside)
        self.conv = nn.Sequential(*layers, depthwise, nn.ReLU(), nn.Conv2d(inside, outputs, 1))
        self.add = Add() if stride == 1 and inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if self.add is None else self.add(x, self.conv(x))


class MobileNetV2(nn.Module):
    """The stages of MobileNetV2; returns the features that the neck joins, the finest first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU())
        widths = [32, *(outputs for _, outputs, _, _ in STAGES)]
        self.stages = nn.ModuleList(
            nn.Sequential(*(Bottleneck(n if i == 0 else m, m, stride if i == 0 else 1, wider) for i in range(count)))
            for (n, m), (wider, _, count, stride) in zip(itertools.pairwise(widths), STAGES, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x, found = self.stem(images), []
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place in JOINED:
                found.append(x)
        return found


class Neck(nn.Module):
    """From the coarsest features down, each doubled in size and added to the next finer ones."""

    def __init__(self) -> None:
        super().__init__()
        # In the order of computation, which is that of the published file: the coarsest first.
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, WIDTH, 1), nn.ReLU()) for inputs in reversed(JOINED.values())
        )
        self.deconv_layers = nn.ModuleList(self._up() for _ in range(len(JOINED) - 1))
        self.adds = nn.ModuleList(Add() for _ in self.deconv_layers)
        self.out = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU())

    @staticmethod
    def _up() -> nn.Sequential:
        conv, bn = nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2, bias=False), nn.BatchNorm2d(WIDTH, eps=1e-3)
        return nn.Sequential(OrderedDict(conv=conv, bn=bn, activate=nn.ReLU()))

    def forward(self, features: list[Tensor]) -> Tensor:
        coarsest, *finer = [conv(x) for conv, x in zip(self.lateral, reversed(features), strict=True)]
        x = coarsest
        # Published: the last transposed convolution comes first.
        for up, add, beside in zip(reversed(self.deconv_layers), self.adds, finer, strict=True):
            x = add(up(x), beside)
        return self.out(x)


class Network(nn.Module):
    """Images to four heads at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.neck = MobileNetV2(), Neck()
        self.head = nn.ModuleDict({f"{name}_conv": nn.Conv2d(WIDTH, outputs, 1) for name, outputs in HEADS.items()})

    def forward(self, images: Tensor) -> Outputs:
        x = self.neck(self.backbone(images))
        return {name: self.head[f"{name}_conv"](x) for name in HEADS}
