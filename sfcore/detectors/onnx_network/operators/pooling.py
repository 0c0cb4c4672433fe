"""Pooling."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator
from sfcore.detectors.onnx_network.operators.pads import Window, padded, window

_MAX = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_MEAN = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


@operator("MaxPool")
def max_pool(node: Node) -> Apply:
    """What is put around the map is never the largest."""
    if node.outputs > 1:
        raise node.refusal("its indices are used")
    size = window(node, node.ints("kernel_shape") or [])
    return partial(_max, size, bool(node.get("ceil_mode", 0)))


def _max(size: Window, ceil: bool, x: Tensor) -> Tensor:
    pool: Any = _MAX[len(size.kernel) - 1]
    inside = size.symmetric
    if inside is None or any(2 * pad > kernel for pad, kernel in zip(inside, size.kernel, strict=True)):
        x, inside = padded(size.pads, -torch.inf, x), (0,) * len(size.kernel)
    return pool(x, size.kernel, size.stride, inside, size.dilation, ceil)


@operator("AveragePool")
def average_pool(node: Node) -> Apply:
    """What is put around the map counts where ``count_include_pad`` says so."""
    size = window(node, node.ints("kernel_shape") or [])
    if set(size.dilation) != {1}:
        raise node.refusal("it is dilated")
    counted, ceil = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    if ceil and size.symmetric is None:
        raise node.refusal("its pads differ at the two ends while ceil_mode is on")
    return partial(_mean, size, counted, ceil)


def _mean(size: Window, counted: bool, ceil: bool, x: Tensor) -> Tensor:
    pool: Any = _MEAN[len(size.kernel) - 1]
    inside = size.symmetric
    if inside is not None and all(2 * pad <= kernel for pad, kernel in zip(inside, size.kernel, strict=True)):
        return pool(x, size.kernel, size.stride, inside, ceil, counted)
    mean = pool(padded(size.pads, 0.0, x), size.kernel, size.stride, 0, ceil)
    if counted:
        return mean
    share = pool(padded(size.pads, 0.0, torch.ones_like(x[:1, :1])), size.kernel, size.stride, 0, ceil)
    return mean / share


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: Node) -> Apply:
    """Over all cells of a map."""
    reduce: Any = torch.mean if node.kind == "GlobalAveragePool" else torch.amax
    return partial(reduce, dim=list(range(2, node.rank)), keepdim=True)
