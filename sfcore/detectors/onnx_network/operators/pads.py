"""Windows that move over a map, and what is put around the map for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator


@dataclass(frozen=True)
class Window:
    """How a window moves, by axes.

    Attributes:
        kernel, stride, dilation: in cells.
        pads: cells at the beginning and at the end of each axis.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """The pads of each axis where they are the same at both ends of all; else None."""
        same = all(begin == end for begin, end in self.pads)
        return tuple(begin for begin, _ in self.pads) if same else None


def window(node: Node, kernel: Sequence[int]) -> Window:
    """The window of a convolution or pooling, its automatic pads worked out."""
    axes = len(kernel)
    stride = node.ints("strides") or [1] * axes
    dilation = node.ints("dilations") or [1] * axes
    how = node.require("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    given = node.ints("pads") if how == "NOTSET" else None
    given = given or [0] * 2 * axes
    pads = list(zip(given[:axes], given[axes:], strict=True))
    if how.startswith("SAME"):
        steps = zip(node.shape[2:], kernel, stride, dilation, strict=True)
        total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in steps]
        pads = [(t // 2, t - t // 2) if how == "SAME_UPPER" else (t - t // 2, t // 2) for t in total]
    return Window(tuple(kernel), tuple(stride), tuple(dilation), tuple(pads))


def padded(pads: Sequence[tuple[int, int]], value: float, x: Tensor) -> Tensor:
    """``x`` with cells of a value around its last axes."""
    flat = [each for pair in reversed(pads) for each in pair]
    return functional.pad(x, flat, value=value) if any(flat) else x


@operator("Pad")
def pad(node: Node) -> Apply:
    """Negative pads cut off."""
    mode = node.require("mode", "constant", "reflect", "edge", "wrap")
    pads = node.ints("pads", 1) or []
    given = node.constant(2) if "value" not in node.attributes else np.asarray(node.get("value"))
    value = 0.0 if given is None else given.item()
    axes = node.axes(3) if node.has(3) else list(range(node.rank))
    ends = {axis: (pads[i], pads[i + len(axes or [])]) for i, axis in enumerate(axes or [])}
    around = [ends.get(axis, (0, 0)) for axis in range(node.rank)]
    if mode == "constant":
        return partial(padded, around, value)
    return partial(_repeated, mode, around)


def _repeated(mode: str, pads: Sequence[tuple[int, int]], x: Tensor) -> Tensor:
    """Cells that repeat those of the map, axis by axis."""
    for axis, (begin, end) in enumerate(pads):
        if begin or end:
            places = _source(mode, begin, end, x.shape[axis])
            x = x.index_select(axis, torch.tensor(places, device=x.device))
    return x


def _source(mode: str, begin: int, end: int, size: int) -> list[int]:
    """From which cell each comes."""
    places = range(-begin, size + end)
    if mode == "edge":
        return [min(max(place, 0), size - 1) for place in places]
    if mode == "wrap":
        return [place % size for place in places]
    period = max(2 * (size - 1), 1)
    return [min(place % period, period - place % period) for place in places]
