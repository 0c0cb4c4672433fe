"""Operators that become layers, which can be quantized where their weights are constant."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.layers import MatMul
from sfcore.detectors.onnx_network.node import Apply, Node, Operation
from sfcore.detectors.onnx_network.operators import operator
from sfcore.detectors.onnx_network.operators.pads import Window, padded, window

_CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def parameter(values: np.ndarray) -> nn.Parameter:
    """A parameter of its own, whatever the file's memory does."""
    return nn.Parameter(torch.from_numpy(np.array(values)))


def _fill(module: nn.Module, **values: np.ndarray | None) -> None:
    for name, value in values.items():
        if value is not None:
            setattr(module, name, parameter(value))


def _tied(node: Node, *about: Any) -> tuple[Any, ...]:
    return (node.kind, node.inputs[1:], *about)


@operator("Conv")
def conv(node: Node) -> Operation | Apply:
    """A convolution; a weight that is computed from the images (a dynamic kernel) stays plain tensor code."""
    dimensions, shape = node.rank - 2, node.shape_of(1)
    if dimensions not in _CONVOLUTIONS:
        raise node.refusal(f"it reads {node.rank} axes")
    size = window(node, list(shape[2:]))
    groups = node.get("group", 1)
    if not node.is_constant(1, 2):
        return partial(_convolved, dimensions, size, groups)
    weight, bias = node.constant(1), node.constant(2)
    arguments: Any = (size.stride, size.symmetric or 0, size.dilation, groups, bias is not None)
    layer = _CONVOLUTIONS[dimensions](shape[1] * groups, shape[0], tuple(shape[2:]), *arguments)
    _fill(layer, weight=weight, bias=bias)
    before = None if size.symmetric else partial(padded, size.pads, 0.0)
    return Operation(before, layer, _tied(node, size, groups))


def _convolved(dimensions: int, size: Window, groups: int, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[dimensions - 1]
    x = padded(size.pads, 0.0, x)
    return convolve(x, weight, bias[0] if bias else None, size.stride, 0, size.dilation, groups)


@operator("ConvTranspose")
def conv_transpose(node: Node) -> Operation:
    """Pads that differ at the two ends are cut off as output padding, or refused."""
    weight, bias = node.constant(1), node.constant(2)
    if weight is None or weight.ndim - 2 not in _TRANSPOSED:
        raise node.refusal("its weight has another number of axes than 3 to 5")
    dimensions, groups = weight.ndim - 2, node.get("group", 1)
    stride = node.ints("strides") or [1] * dimensions
    dilation = node.ints("dilations") or [1] * dimensions
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(node.shape[2:], stride, weight.shape[2:], dilation, strict=True)
    ]
    extra = node.ints("output_padding") or [0] * dimensions
    begin, end = _cut(node, full, extra, stride)
    output = [a - e for a, e in zip(begin, end, strict=True)]  # torch cuts the same at both ends, then adds
    if any(not 0 <= each < max(s, d) for each, s, d in zip(output, stride, dilation, strict=True)):
        raise node.refusal(f"its pads {begin} and {end} differ in a way that torch has not")
    arguments: Any = (stride, begin, output, groups, bias is not None, dilation)
    shape = weight.shape
    layer = _TRANSPOSED[dimensions](shape[0], shape[1] * groups, tuple(shape[2:]), *arguments)
    _fill(layer, weight=weight, bias=bias)
    return Operation(None, layer, _tied(node, *map(tuple, (stride, begin, output, dilation)), groups))


def _cut(node: Node, full: list[int], extra: list[int], stride: list[int]) -> tuple[list[int], list[int]]:
    """What is cut off at the beginning and at the end of each axis; less than nothing at the end adds."""
    how, wanted = node.get("auto_pad", "NOTSET"), node.ints("output_shape")
    if wanted is None and how.startswith("SAME"):
        wanted = [n * s for n, s in zip(node.shape[2:], stride, strict=True)]
    if wanted is None:
        pads = node.ints("pads") if how == "NOTSET" else None
        pads = pads or [0] * 2 * len(full)
        begin, end = pads[: len(full)], pads[len(full) :]
        return begin, [e - x for e, x in zip(end, extra, strict=True)]
    total = [n + x - w for n, x, w in zip(full, extra, wanted[-len(full) :], strict=True)]
    begin = [t - t // 2 if how != "SAME_UPPER" else t // 2 for t in total]
    return begin, [t - b - x for t, b, x in zip(total, begin, extra, strict=True)]


@operator("Gemm")
def gemm(node: Node) -> Operation | Apply:
    """A linear layer, its factors multiplied into weight and bias."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    b, bias = node.constants.get(1), node.constants.get(2)
    one_row = bias is None or bias.size in (1, node.shape_of(1)[0 if node.get("transB", 0) else 1])
    if b is None or node.get("transA", 0) or not node.is_constant(1, 2) or not one_row:
        return partial(_gemm, alpha, beta, bool(node.get("transA", 0)), bool(node.get("transB", 0)))
    node.taken |= {1, 2}
    weight = b if node.get("transB", 0) else b.T
    bias = None if bias is None else np.broadcast_to(bias.reshape(-1), (len(weight),))
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    _fill(layer, weight=_times(weight, alpha), bias=None if bias is None else _times(bias, beta))
    return Operation(None, layer, _tied(node, alpha, beta, node.get("transB", 0)))


def _times(values: np.ndarray, factor: float) -> np.ndarray:
    return values if factor == 1 else (values * factor).astype(values.dtype)


def _gemm(
    alpha: float, beta: float, transposed_a: bool, transposed_b: bool, a: Tensor, b: Tensor, *c: Tensor
) -> Tensor:
    product = alpha * ((a.T if transposed_a else a) @ (b.T if transposed_b else b))
    return product + beta * c[0] if c else product


@operator("MatMul")
def matmul(node: Node) -> Operation:
    """A linear layer where a constant matrix is on the right, else a product of two activations."""
    b = node.constants.get(1)
    if b is None or b.ndim != 2 or node.rank < 2:
        return Operation(None, MatMul())
    node.taken.add(1)
    layer = nn.Linear(b.shape[0], b.shape[1], bias=False)
    _fill(layer, weight=b.T)
    return Operation(None, layer, _tied(node))


@operator("BatchNormalization")
def batch_normalization(node: Node) -> Operation:
    """A batch norm with fixed statistics."""
    if node.get("training_mode", 0) or node.outputs > 1 or node.rank not in _NORMS:
        raise node.refusal("it is in training mode: export in evaluation mode (model.eval())")
    scale, shift, mean, variance = (node.constant(place) for place in (1, 2, 3, 4))
    if scale is None or shift is None or mean is None or variance is None:
        raise node.refusal("it lacks its statistics")
    layer = _NORMS[node.rank](len(scale), eps=node.get("epsilon", 1e-5))
    _fill(layer, weight=scale, bias=shift)
    layer.running_mean, layer.running_var = (torch.from_numpy(np.array(value)) for value in (mean, variance))
    return Operation(None, layer.eval(), _tied(node, node.get("epsilon", 1e-5)))


@operator("LayerNormalization")
def layer_normalization(node: Node) -> Apply:
    """Over the axis and all that follow it."""
    if node.outputs > 1:
        raise node.refusal("its mean or deviation is used")
    return partial(_layer_norm, list(node.shape[node.axis(-1) :]), node.get("epsilon", 1e-5))


def _layer_norm(shape: list[int], eps: float, x: Tensor, scale: Tensor, *bias: Tensor | None) -> Tensor:
    return functional.layer_norm(x, shape, scale.expand(shape), bias[0] if bias else None, eps)


@operator("InstanceNormalization")
def instance_normalization(node: Node) -> Apply:
    """Each channel of each image by its own mean and deviation."""
    return partial(_instance_norm, node.get("epsilon", 1e-5))


def _instance_norm(eps: float, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=eps)


@operator("Einsum")
def einsum(node: Node) -> Apply:
    """Stays in full precision: which of its axes are multiplied is not known to a layer."""
    return partial(torch.einsum, node.get("equation").replace(" ", ""))
