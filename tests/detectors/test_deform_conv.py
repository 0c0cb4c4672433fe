"""Sampling at points against a scalar reference; with the convolution after it, a deformable convolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.deform_conv import kernel_points, point_conv, sample_points


def bilinear(plane: Tensor, y: float, x: float) -> float:
    """The value between cells; cells outside the map are zero."""
    height, width = plane.shape
    y0, x0 = math.floor(y), math.floor(x)
    total = 0.0
    for i, j in ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1)):
        if 0 <= i < height and 0 <= j < width:
            total += (1 - abs(y - i)) * (1 - abs(x - j)) * float(plane[i, j])
    return total


def deformable_convolution(features: Tensor, points: Tensor, weight: Tensor) -> Tensor:
    """Dai et al. 2017, eq. 2 for a 1×K kernel, one scalar at a time."""
    batch, channels, height, width = features.shape
    out = torch.zeros(batch, weight.shape[0], height, width, dtype=features.dtype)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                for k in range(weight.shape[-1]):
                    dy, dx = points[b, 2 * k, y, x].item(), points[b, 2 * k + 1, y, x].item()
                    for c in range(channels):
                        out[b, :, y, x] += weight[:, c, 0, k] * bilinear(features[b, c], y + dy, x + dx)
    return out


def test_equals_the_scalar_reference_also_outside_the_map() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    points = torch.randn(2, 6, 4, 5, dtype=torch.float64) * 3
    conv = point_conv(3, 2, 3).double()
    found = conv(sample_points(features, points))
    assert found.shape == (2, 2, 4, 5)
    torch.testing.assert_close(found, deformable_convolution(features, points, conv.weight.detach()))


def test_whole_displacements_move_the_map() -> None:
    features = torch.arange(12.0).view(1, 1, 3, 4)
    points = torch.zeros(1, 4, 3, 4)
    points[:, 1] = 1  # the first point: one cell to the right
    points[:, 2] = -1  # the second: one cell up
    right, up = sample_points(features, points).view(3, 4, 2).unbind(-1)
    torch.testing.assert_close(right, torch.tensor([[1.0, 2, 3, 0], [5, 6, 7, 0], [9, 10, 11, 0]]))
    torch.testing.assert_close(up, torch.tensor([[0.0, 0, 0, 0], [0, 1, 2, 3], [4, 5, 6, 7]]))


def test_points_of_a_kernel_in_blocks_make_an_ordinary_convolution() -> None:
    torch.manual_seed(2)
    features, weight = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 3, 3)
    points = kernel_points(3, features).expand(2, -1, 4, 5)
    found = functional.conv2d(sample_points(features, points, rows=3), weight, stride=3)
    torch.testing.assert_close(found, functional.conv2d(features, weight, padding=1))


def test_blocks_hold_the_same_values_as_lines() -> None:
    torch.manual_seed(3)
    features, points = torch.randn(2, 3, 4, 5), torch.randn(2, 12, 4, 5)
    line = sample_points(features, points).view(2, 3, 4, 5, 6)
    block = sample_points(features, points, rows=2).view(2, 3, 4, 2, 5, 3)
    torch.testing.assert_close(block.transpose(3, 4).flatten(4), line)


def test_points_and_features_receive_exact_gradients() -> None:
    torch.manual_seed(1)
    features = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(1, 4, 3, 3, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    assert torch.autograd.gradcheck(sample_points, (features, points))


def test_half_precision_does_not_coarsen_places() -> None:
    """One column in 300 would be lost if places were computed in bfloat16."""
    features = torch.arange(300.0).view(1, 1, 1, 300)
    points = torch.zeros(1, 2, 1, 300, dtype=torch.bfloat16)
    torch.testing.assert_close(sample_points(features, points), features, atol=1e-3, rtol=0)
