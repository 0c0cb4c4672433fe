"""CenterPoint-Pillar's convolutions on the map of pillars, with the published key names: neck and heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BIAS = -2.19  # of heat maps: they begin near sigmoid(-2.19) = 0.1


@dataclass(frozen=True)
class Stages:
    """The stages of a neck.

    Attributes:
        blocks: of each stage, the 3×3 convolutions after its first.
        strides: of each stage's first convolution.
        widths: channels of each stage.
        scales: by which each stage's output is enlarged, 0.5 for one that is halved; all then have the same size.
        outputs: channels of each enlarged output.
    """

    blocks: tuple[int, ...]
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    scales: tuple[float, ...]
    outputs: int

    @property
    def stride(self) -> int:
        """Pillars per cell of the output."""
        return round(self.strides[0] / self.scales[0])


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


def _stage(inputs: int, width: int, more: int, stride: int) -> nn.Sequential:
    """A strided 3×3 convolution and ``more`` others; the first layer takes the place of the published one that pads."""
    conv = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
    first: list[nn.Module] = [nn.Identity(), conv, _norm(width), nn.ReLU()]
    others = (
        layer
        for _ in range(more)
        for layer in (nn.Conv2d(width, width, 3, padding=1, bias=False), _norm(width), nn.ReLU())
    )
    return nn.Sequential(*first, *others)


def _enlarge(width: int, outputs: int, scale: float) -> nn.Sequential:
    """A transposed convolution whose kernel is its stride; a convolution where nothing is enlarged."""
    if scale > 1:
        conv: nn.Module = nn.ConvTranspose2d(width, outputs, round(scale), round(scale), bias=False)
    else:
        conv = nn.Conv2d(width, outputs, round(1 / scale), round(1 / scale), bias=False)
    return nn.Sequential(conv, _norm(outputs), nn.ReLU())


class RPN(nn.Module):
    """Stages, each at a lower resolution, whose outputs are brought to one resolution and concatenated."""

    def __init__(self, inputs: int, stages: Stages) -> None:
        super().__init__()
        before = (inputs, *stages.widths[:-1])
        parts = zip(before, stages.widths, stages.blocks, stages.strides, strict=True)
        self.blocks = nn.ModuleList(_stage(*part) for part in parts)
        ends = zip(stages.widths, stages.scales, strict=True)
        self.deblocks = nn.ModuleList(_enlarge(width, stages.outputs, scale) for width, scale in ends)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for block, deblock in zip(self.blocks, self.deblocks, strict=True):
            x = block(x)
            outputs.append(deblock(x))
        return torch.cat(outputs, 1)


class SepHead(nn.Module):
    """The heads of one group of classes, each of two 3×3 convolutions.

    Args:
        channels: of each head's output, by its name; the heat map is "hm".
        width: between the two convolutions.
    """

    def __init__(self, inputs: int, channels: dict[str, int], width: int) -> None:
        super().__init__()
        self.names = tuple(channels)
        for name, outputs in channels.items():
            last = nn.Conv2d(width, outputs, 3, padding=1)
            head = nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), last)
            if name == "hm":
                nn.init.constant_(last.bias, BIAS)  # type: ignore[arg-type]
            self.add_module(name, head)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: self.get_submodule(name)(x) for name in self.names}


class CenterHead(nn.Module):
    """A shared convolution, then the heads of each group of classes; their outputs are concatenated group by group.

    Args:
        groups: how many classes each group has.
        channels: of each group's regression heads, by their names.
        width: after the shared convolution, and in the heads.
    """

    def __init__(self, inputs: int, groups: Sequence[int], channels: dict[str, int], shared: int, width: int) -> None:
        super().__init__()
        self.shared_conv = nn.Sequential(nn.Conv2d(inputs, shared, 3, padding=1), nn.BatchNorm2d(shared), nn.ReLU())
        self.tasks = nn.ModuleList(SepHead(shared, {"hm": classes, **channels}, width) for classes in groups)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.shared_conv(x)
        found = [task(x) for task in self.tasks]
        return {name: torch.cat([each[name] for each in found], 1) for name in found[0]}
