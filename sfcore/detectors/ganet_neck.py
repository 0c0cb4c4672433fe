"""The neck of GANet: self-attention on the coarsest features, a feature pyramid, lane-aware sampling.

Key names are those of the published code, so its checkpoints load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.deform_conv import point_conv, sample_points
from sfcore.detectors.layers import Add, MatMul, sine_positions


class ConvModule(nn.Module):
    """Convolution, batch norm if asked for, ReLU if asked for; the convolution has a bias where no norm follows."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, norm: bool = False, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(outputs) if norm else None
        self.activate = nn.ReLU() if act else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x if self.bn is None else self.bn(x)
        return x if self.activate is None else self.activate(x)


class AttentionLayer(nn.Module):
    """Self-attention among the cells of a map: x + γ · V softmax(QᵀK)ᵀ, between two convolutions."""

    def __init__(self, inputs: int, outputs: int, cells: tuple[int, int], ratio: int = 4) -> None:
        super().__init__()
        self.pre_conv = ConvModule(inputs, outputs, 3, norm=True)
        self.query_conv = nn.Conv2d(outputs, outputs // ratio, 1)
        self.key_conv = nn.Conv2d(outputs, outputs // ratio, 1)
        self.value_conv = nn.Conv2d(outputs, outputs, 1)
        self.final_conv = ConvModule(outputs, outputs, 3, norm=True)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.energy, self.mix, self.add = MatMul(), MatMul(), Add()
        self.register_buffer("positions", sine_positions(outputs, *cells, normalize=False), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre_conv(x) + self.positions
        query, key, value = (conv(x).flatten(2) for conv in (self.query_conv, self.key_conv, self.value_conv))
        attention = self.energy(query.transpose(1, 2), key).softmax(-1)
        mixed = self.mix(value, attention.transpose(1, 2)).reshape(x.shape)
        return self.final_conv(self.add(self.gamma * mixed, x))


class TransConvEncoder(nn.Module):
    """Two attention layers that bring the coarsest features to the width of the pyramid."""

    def __init__(self, inputs: int, width: int, cells: tuple[int, int]) -> None:
        super().__init__()
        self.attn_layers = nn.ModuleList(AttentionLayer(n, width, cells) for n in (inputs, width))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.attn_layers:
            x = layer(x)
        return x


class LanePointsConv(nn.Module):
    """Gathers features along the lane: regresses K points for each cell and convolves over what lies there.

    The two ``refine`` layers are in published checkpoints but in no computation.

    Args:
        inputs: channels that come in and go out.
        hidden: channels between.
        count: K, the number of points.
    """

    GRADIENT = 0.1  # share of the gradient that reaches the points through the sampling

    def __init__(self, inputs: int, hidden: int, count: int) -> None:
        super().__init__()
        widths = (inputs, hidden, hidden)
        self.cls_convs = nn.ModuleList(ConvModule(n, hidden, 3) for n in widths)
        self.reg_convs = nn.ModuleList(ConvModule(n, hidden, 3) for n in widths)
        self.reppoints_cls_conv = point_conv(hidden, inputs, count)
        self.reppoints_pts_init_conv = nn.Conv2d(hidden, inputs, 3, padding=1)
        self.reppoints_pts_init_out = nn.Conv2d(inputs, 2 * count, 1)
        self.reppoints_pts_refine_conv = point_conv(hidden, inputs, count)
        self.reppoints_pts_refine_out = nn.Conv2d(inputs, 2 * count, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        features, shape = x, x
        for conv in self.cls_convs:
            features = conv(features)
        for conv in self.reg_convs:
            shape = conv(shape)
        points = self.reppoints_pts_init_out(self.relu(self.reppoints_pts_init_conv(shape)))
        points = points.detach() + self.GRADIENT * (points - points.detach())
        return self.relu(self.reppoints_cls_conv(sample_points(features, points)))


def top_down(laterals: list[Tensor]) -> list[Tensor]:
    """Each level of a feature pyramid, finest first, plus all coarser ones, enlarged (Lin et al. 2017, FPN)."""
    merged = laterals[-1:]
    for lateral in reversed(laterals[:-1]):
        merged.insert(0, lateral + functional.interpolate(merged[0], size=lateral.shape[2:], mode="nearest"))
    return merged


class DeformFPN(nn.Module):
    """Feature pyramid whose finest level gathers features along lanes.

    Only the finest level feeds the heads; the layers of the others exist because published checkpoints
    hold them, and only as many as ``points`` names are made.

    Args:
        inputs: channels of the backbone's features at strides 8, 16 and 32.
        width: of the pyramid.
        hidden: channels inside :class:`LanePointsConv`.
        points: K of each level.
        cells: (height, width) of the coarsest features.
    """

    def __init__(
        self, inputs: tuple[int, ...], width: int, hidden: int, points: tuple[int, ...], cells: tuple[int, int]
    ) -> None:
        super().__init__()
        self.trans_head = TransConvEncoder(inputs[-1], width, cells)
        self.lateral_convs = nn.ModuleList(ConvModule(n, width, 1, act=False) for n in (*inputs[:-1], width))
        self.def_convs = nn.ModuleList(LanePointsConv(width, hidden, count) for count in points)
        self.fpn_convs = nn.ModuleList(ConvModule(width, width, 3, act=False) for _ in points)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Features at strides 8, 16, 32 to those at stride 8 for the heat maps and for the offsets."""
        fine, middle, coarse = features
        inputs = (fine, middle, self.trans_head(coarse))
        merged = top_down([conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)])[0]
        return self.fpn_convs[0](self.def_convs[0](merged)), merged
