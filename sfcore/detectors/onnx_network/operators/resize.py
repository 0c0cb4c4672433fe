"""Sampling maps at other places: resizing, and at places that the network itself computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator

_COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@operator("Resize", "Upsample")
def resize(node: Node) -> Apply:
    """Axis by axis, from cells and shares that are known beforehand."""
    mode = node.require("mode", "nearest", "linear", "bilinear", "trilinear")
    node.require("antialias", 0)
    node.require("exclude_outside", 0)
    old = node.kind == "Upsample" or node.opset < 11  # coordinates are asymmetric then
    how = "asymmetric" if old else node.require("coordinate_transformation_mode", *_COORDINATES)
    rounding = "floor" if old else node.require("nearest_mode", *_ROUNDINGS)
    moves = []
    for axis, (size, scale) in _sizes(node, old).items():
        before = node.shape[axis]
        if size == before and scale == 1:
            continue
        place = _places(how, size, before, scale)
        if mode == "nearest":
            cells = np.clip(_ROUNDINGS[rounding](place), 0, before - 1).astype(np.int64)
            node.extra.append(cells)
        else:
            place = np.clip(place, 0, before - 1)
            low = np.floor(place).astype(np.int64)
            node.extra += [low, np.minimum(low + 1, before - 1), (place - low).astype(np.float32)]
        moves.append(axis)
    return partial(_nearest if mode == "nearest" else _linear, moves)


def _sizes(node: Node, old: bool) -> dict[int, tuple[int, float]]:
    """The new size and the scale of each axis that is resized."""
    scales = node.get("scales") if "scales" in node.attributes else node.constant(1 if old else 2)
    sizes = None if old else node.constant(3)
    node.constant(1)  # a region, of a coordinate mode that is not known
    axes: list[int] = node.axes() or list(range(node.rank))
    if sizes is not None and sizes.size:
        return _to_sizes(node, axes, [int(size) for size in sizes])
    if scales is None or not np.size(scales):
        raise node.refusal("it has neither sizes nor scales")
    named = zip(axes, np.ravel(scales).tolist(), strict=True)
    return {axis: (int(np.floor(node.shape[axis] * scale)), scale) for axis, scale in named}


def _to_sizes(node: Node, axes: list[int], sizes: list[int]) -> dict[int, tuple[int, float]]:
    policy = node.require("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
    scales = [size / node.shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    if policy != "stretch":
        scale = min(scales) if policy == "not_larger" else max(scales)
        return {axis: (int(np.floor(node.shape[axis] * scale + 0.5)), scale) for axis in axes}
    return {axis: (size, scale) for axis, size, scale in zip(axes, sizes, scales, strict=True)}


def _places(how: str, size: int, before: int, scale: float) -> np.ndarray:
    """Where in the old axis each new cell lies."""
    new, factor = np.arange(size, dtype=np.float32), np.float32(scale)  # in the precision of those who run such files
    if how == "align_corners":
        return new * (before - 1) / max(size - 1, 1)
    if how == "asymmetric":
        return new / factor
    if how == "pytorch_half_pixel" and size == 1:
        return np.zeros(1, np.float32)
    return (new + np.float32(0.5)) / factor - np.float32(0.5)


def _nearest(axes: list[int], x: Tensor, *cells: Tensor) -> Tensor:
    for axis, cell in zip(axes, cells, strict=True):
        x = x.index_select(axis, cell)
    return x


def _linear(axes: list[int], x: Tensor, *known: Tensor) -> Tensor:
    for place, axis in enumerate(axes):
        low, high, share = known[3 * place : 3 * place + 3]
        share = share.reshape(-1, *[1] * (x.ndim - 1 - axis))
        x = torch.lerp(x.index_select(axis, low), x.index_select(axis, high), share)
    return x


@operator("GridSample")
def grid_sample(node: Node) -> Apply:
    """Values of a map at places that are computed."""
    modes = {"linear": "bilinear", "bilinear": "bilinear", "nearest": "nearest", "cubic": "bicubic",
             "bicubic": "bicubic"}  # fmt: skip
    arguments: dict[str, Any] = {
        "mode": modes[node.require("mode", *modes)],
        "padding_mode": node.require("padding_mode", "zeros", "border", "reflection"),
        "align_corners": bool(node.get("align_corners", 0)),
    }
    return partial(_sampled, arguments)


def _sampled(arguments: dict[str, Any], x: Tensor, grid: Tensor) -> Tensor:
    """A map or a grid that is the same for all images is taken for each."""
    count = max(len(x), len(grid))
    x, grid = (each.expand(count, *each.shape[1:]) for each in (x, grid))
    return functional.grid_sample(x, grid, **arguments)
