"""Layers that several detectors share, and operations as modules so that quantization can wrap them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MatMul(nn.Module):
    """A matrix product of two activations, as a module so that its operands can be quantized."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b


class Add(nn.Module):
    """A residual add of two activations, as a module so that both can be quantized, as some engines do."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class BasicBlock(nn.Module):
    """The ResNet block of two 3×3 convolutions (keys as in torchvision).

    Args:
        dilation: of the first convolution alone, as published lane detectors have it.
    """

    expansion = 1

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.add(self.bn2(self.conv2(x)), identity))


def resnet_stage(
    inputs: int, outputs: int, blocks: int, stride: int, dilation: int = 1, first_dilation: int = 1
) -> nn.Sequential:
    """A ResNet stage: ``blocks`` basic blocks, the first with ``stride`` and a dilation of its own."""
    first = BasicBlock(inputs, outputs, stride, first_dilation)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, dilation=dilation) for _ in range(blocks - 1)))


class ResNet(nn.Module):
    """A ResNet of basic blocks that returns the features of all its stages (keys as in torchvision).

    Args:
        blocks: basic blocks of each stage; (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34, fewer their first stages.
        widths: channels of each stage; the stem has those of the first.
        dilations: of each stage. Where it grows, the stage keeps the resolution of the one before instead of halving
            it, and its first block the dilation of the one before (torchvision's ``replace_stride_with_dilation``).
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...] = (64, 128, 256, 512),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        inputs, before = (widths[0], *widths[:-1]), (1, *dilations[:-1])
        sizes = zip(self.stages, inputs, widths, blocks, dilations, before, strict=True)
        for name, n, width, count, dilation, first in sizes:
            stride = 1 if name == "layer1" or dilation > first else 2
            self.add_module(name, resnet_stage(n, width, count, stride, dilation, first))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) to the features of each stage: at strides 4, 8, 16 and 32 where nothing is dilated."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = []
        for name in self.stages:
            x = self.get_submodule(name)(x)
            features.append(x)
        return tuple(features)


def sine_positions(channels: int, height: int, width: int, normalize: bool = True) -> Tensor:
    """(1, channels, height, width) sine position embedding of DETR (Carion et al. 2020, appendix A.4)."""
    half = channels // 2
    y = torch.arange(1, height + 1, dtype=torch.float32)
    x = torch.arange(1, width + 1, dtype=torch.float32)
    if normalize:
        y, x = y / (y[-1] + 1e-6) * 2 * math.pi, x / (x[-1] + 1e-6) * 2 * math.pi
    frequency = 10000 ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)

    def encode(values: Tensor) -> Tensor:
        angle = values[:, None] / frequency
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], -1).flatten(1)

    rows = encode(y)[:, None, :].expand(height, width, half)
    columns = encode(x)[None, :, :].expand(height, width, half)
    return torch.cat([rows, columns], -1).permute(2, 0, 1).unsqueeze(0)
