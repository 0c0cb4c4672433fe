"""Operators that compute each element by itself, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator

_PLAIN: dict[str, Apply] = {
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Softplus": functional.softplus,
    "Softsign": functional.softsign, "Mish": functional.mish, "HardSwish": functional.hardswish, "Erf": torch.erf,
    "Exp": torch.exp, "Log": torch.log, "Sqrt": torch.sqrt, "Neg": torch.neg, "Abs": torch.abs, "Sign": torch.sign,
    "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Reciprocal": torch.reciprocal,
    "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Atan": torch.atan,
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Pow": torch.pow,
    "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
    "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor, "Not": torch.logical_not,
    "Where": torch.where, "IsNaN": torch.isnan,
}  # fmt: skip


@operator(*_PLAIN)
def plain(node: Node) -> Apply:
    """What torch has under another name."""
    return _PLAIN[node.kind]


@operator("Identity", "Dropout")
def identity(node: Node) -> Apply:
    """A dropout in evaluation passes what it reads; whether it is switched off is an input that nothing depends on."""
    if node.kind == "Dropout":
        training = node.constant(2)
        node.constant(1)
        if training is not None and bool(training.item()):
            raise node.refusal("it drops in evaluation: export it in evaluation mode (model.eval())")
        if node.outputs > 1:
            raise node.refusal("its mask is used")
    return _first


def _first(x: Tensor) -> Tensor:
    return x


@operator("Div")
def div(node: Node) -> Apply:
    """Whole numbers are divided to whole numbers, towards 0."""
    return _divided


def _divided(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


@operator("Mod")
def mod(node: Node) -> Apply:
    """The remainder with the sign of the divisor, or of what is divided (``fmod``)."""
    return torch.fmod if node.get("fmod", 0) else torch.remainder


@operator("Min", "Max", "Sum", "Mean")
def several(node: Node) -> Apply:
    """Of any number of inputs."""
    pairs: dict[str, Callable[..., Tensor]] = {"Min": torch.minimum, "Max": torch.maximum}
    return partial(_folded, pairs.get(node.kind, torch.add), node.kind == "Mean")


def _folded(pair: Callable[..., Tensor], mean: bool, *values: Tensor) -> Tensor:
    found = reduce(pair, values)
    return found / len(values) if mean else found


@operator("Clip")
def clip(node: Node) -> Apply:
    """Bounds that are left out are none."""
    bounds = [_bound(node, "min", 1), _bound(node, "max", 2)]
    return _first if bounds == [None, None] else partial(torch.clamp, min=bounds[0], max=bounds[1])


def _bound(node: Node, name: str, place: int) -> Any:
    found = node.get(name) if name in node.attributes else node.constant(place)
    return None if found is None else np.asarray(found).item()


@operator("LeakyRelu")
def leaky_relu(node: Node) -> Apply:
    """A fixed slope below 0."""
    return partial(functional.leaky_relu, negative_slope=node.get("alpha", 0.01))


@operator("PRelu")
def prelu(node: Node) -> Apply:
    """A learned slope below 0, broadcast to the input."""
    return _prelu


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


@operator("Elu")
def elu(node: Node) -> Apply:
    """An exponential below 0."""
    return partial(functional.elu, alpha=node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node) -> Apply:
    """A scaled exponential below 0."""
    return partial(_selu, node.get("alpha", 1.6732631921768188), node.get("gamma", 1.0507010221481323))


def _selu(alpha: float, gamma: float, x: Tensor) -> Tensor:
    return gamma * functional.elu(x, alpha)


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> Apply:
    """A line, cut at 0 and 1."""
    return partial(_hard_sigmoid, node.get("alpha", 0.2), node.get("beta", 0.5))


def _hard_sigmoid(alpha: float, beta: float, x: Tensor) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


@operator("Gelu")
def gelu(node: Node) -> Apply:
    """Exact, or by the hyperbolic tangent."""
    return partial(functional.gelu, approximate=node.require("approximate", "none", "tanh"))


@operator("Softmax", "LogSoftmax")
def softmax(node: Node) -> Apply:
    """Before opset 13 it runs over the axis and all that follow it."""
    compute = torch.softmax if node.kind == "Softmax" else torch.log_softmax
    axis = node.axis(-1 if node.opset >= 13 else 1)
    if node.opset >= 13 or axis == node.rank - 1:
        return partial(compute, dim=axis)
    return partial(_over_the_rest, compute, axis)


def _over_the_rest(compute: Callable[..., Tensor], axis: int, x: Tensor) -> Tensor:
    return compute(x.flatten(axis), dim=-1).reshape(x.shape)


@operator("Cast", "CastLike")
def cast(node: Node) -> Apply:
    """Floats stay in the precision in which the network computes."""
    if node.kind == "CastLike":
        return _cast_like
    kinds = {1: None, 10: None, 16: None, 11: torch.float64, 9: torch.bool, 2: torch.uint8, 3: torch.int8,
             5: torch.int16, 6: torch.int32, 7: torch.int64}  # fmt: skip
    kind = node.get("to")
    if kind not in kinds:
        raise node.refusal(f"it casts to type {kind} of ONNX")
    return partial(_cast, kinds[kind])


def _cast(kind: torch.dtype | None, x: Tensor) -> Tensor:
    if kind is None:
        return x if x.is_floating_point() else x.float()
    return x.to(kind)


def _cast_like(x: Tensor, other: Tensor) -> Tensor:
    return x.to(other.dtype)
