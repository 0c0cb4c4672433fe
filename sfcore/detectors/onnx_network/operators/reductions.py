"""Operators that make one value of many along axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator


def _product(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    for axis in sorted(dim, reverse=True):
        x = x.prod(axis, keepdim=keepdim)
    return x


def _length(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return x.square().sum(dim, keepdim).sqrt()


def _absolute(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return x.abs().sum(dim, keepdim)


def _squares(x: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    return x.square().sum(dim, keepdim)


_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin,
    "ReduceProd": _product, "ReduceL1": _absolute, "ReduceL2": _length, "ReduceSumSquare": _squares,
    "ReduceLogSumExp": torch.logsumexp,
}  # fmt: skip


@operator(*_REDUCTIONS)
def reduction(node: Node) -> Apply:
    """Without axes over all, unless the node says that then nothing is done."""
    axes = node.axes(1)
    if not axes and node.get("noop_with_empty_axes", 0):
        return torch.clone
    dim = axes or list(range(node.rank))
    return partial(_REDUCTIONS[node.kind], dim=dim, keepdim=bool(node.get("keepdims", 1)))


@operator("ArgMax", "ArgMin")
def arg(node: Node) -> Apply:
    """The first of several that are the same."""
    node.require("select_last_index", 0)
    find = torch.argmax if node.kind == "ArgMax" else torch.argmin
    return partial(find, dim=node.axis(0), keepdim=bool(node.get("keepdims", 1)))


@operator("TopK")
def top_k(node: Node) -> Apply:
    """Of equal values torch may take others than ONNX does, which takes the first."""
    count = node.constant(1)
    arguments = {"dim": node.axis(-1), "largest": bool(node.get("largest", 1)), "sorted": bool(node.get("sorted", 1))}
    return partial(_top, int(np.ravel(count)[0]) if count is not None else 1, arguments)


def _top(count: int, arguments: dict[str, int | bool], x: Tensor) -> tuple[Tensor, Tensor]:
    values, places = torch.topk(x, count, **arguments)  # type: ignore[arg-type]
    return values, places


@operator("CumSum")
def cumulative_sum(node: Node) -> Apply:
    """Sums along an axis, of what comes before or after."""
    axis = node.constant(1)
    place = node.from_front(int(np.ravel(axis)[0]) if axis is not None else 0)
    return partial(_cumulative, place, bool(node.get("exclusive", 0)), bool(node.get("reverse", 0)))


def _cumulative(axis: int, exclusive: bool, reverse: bool, x: Tensor) -> Tensor:
    turned = x.flip(axis) if reverse else x
    found = turned.cumsum(axis) - (turned if exclusive else 0)
    return found.flip(axis) if reverse else found
