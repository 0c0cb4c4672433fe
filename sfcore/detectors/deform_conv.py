"""Deformable convolution in plain torch.

A deformable convolution (Dai et al., ICCV 2017) reads its input at points that the network chooses and
weights what it read. The reading is :func:`sample_points`; the weighting is an ordinary convolution that
takes the points of one cell at a time, so it is quantized and exported like any other. Points lie along a
line (:func:`point_conv`) or in a square, displaced from where a kernel has them (:func:`kernel_points`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def sample_points(features: Tensor, points: Tensor, rows: int = 1) -> Tensor:
    """The features at K points chosen for each cell, side by side.

    Between cells the value is bilinear; outside the map it is zero, fading over one cell.

    Args:
        features: (B, C, H, W).
        points: (B, 2K, H, W) displacement (y, x) of each point from its cell, in cells: channels y0, x0, y1, x1, ….
        rows: of the block that the points of a cell make in the result, row by row.

    Returns:
        (B, C, H·rows, W·K/rows): the K values of a cell are neighbours; along the width alone if ``rows`` is 1.
    """
    batch, _, height, width = features.shape
    columns = points.shape[1] // 2 // rows
    points = points.to(torch.promote_types(points.dtype, torch.float32))  # half precision is too coarse for places
    shift = points.reshape(batch, rows, columns, 2, height, width).permute(0, 4, 1, 5, 2, 3)
    y = shift[..., 0] + torch.arange(height, dtype=points.dtype, device=points.device).view(-1, 1, 1, 1)
    x = shift[..., 1] + torch.arange(width, dtype=points.dtype, device=points.device).view(-1, 1)
    # grid_sample counts from the outer edges of the first and last cell, -1 to 1.
    place = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    place = place.reshape(batch, height * rows, width * columns, 2)
    features = features.to(points.dtype)
    return functional.grid_sample(features, place, mode="bilinear", padding_mode="zeros", align_corners=False)


def kernel_points(side: int, like: Tensor) -> Tensor:
    """(1, 2·side², 1, 1) where a square kernel of odd ``side`` has its points: displacements y, x, row by row."""
    reach = torch.arange(side, dtype=like.dtype, device=like.device) - side // 2
    return torch.cartesian_prod(reach, reach).reshape(1, -1, 1, 1)


def point_conv(inputs: int, outputs: int, count: int) -> nn.Conv2d:
    """The convolution that weights what :func:`sample_points` read at ``count`` points.

    Its weight has the shape and the key of the 1×K deformable convolution of published checkpoints.
    """
    return nn.Conv2d(inputs, outputs, (1, count), stride=(1, count), bias=False)
