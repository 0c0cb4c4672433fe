"""Deformable convolution along lines of points, in plain torch.

A deformable convolution (Dai et al., ICCV 2017) reads its input at points that the network chooses and
weights what it read. The reading is :func:`sample_points`; the weighting is an ordinary convolution that
takes K columns at a time, so it is quantized and exported like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def sample_points(features: Tensor, points: Tensor) -> Tensor:
    """The features at K points chosen for each cell, side by side.

    Between cells the value is bilinear; outside the map it is zero, fading over one cell.

    Args:
        features: (B, C, H, W).
        points: (B, 2K, H, W) displacement (y, x) of each point from its cell, in cells: channels y0, x0, y1, x1, ….

    Returns:
        (B, C, H, W·K): the K values of a cell are neighbours along the width.
    """
    batch, _, height, width = features.shape
    count = points.shape[1] // 2
    points = points.to(torch.promote_types(points.dtype, torch.float32))  # half precision is too coarse for places
    shift = points.reshape(batch, count, 2, height, width).permute(0, 3, 4, 1, 2)
    y = shift[..., 0] + torch.arange(height, dtype=points.dtype, device=points.device).view(-1, 1, 1)
    x = shift[..., 1] + torch.arange(width, dtype=points.dtype, device=points.device).view(-1, 1)
    # grid_sample counts from the outer edges of the first and last cell, -1 to 1.
    place = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    place = place.reshape(batch, height, width * count, 2)
    features = features.to(points.dtype)
    return functional.grid_sample(features, place, mode="bilinear", padding_mode="zeros", align_corners=False)


def point_conv(inputs: int, outputs: int, count: int) -> nn.Conv2d:
    """The convolution that weights what :func:`sample_points` read at ``count`` points.

    Its weight has the shape and the key of the 1×K deformable convolution of published checkpoints.
    """
    return nn.Conv2d(inputs, outputs, (1, count), stride=(1, count), bias=False)
