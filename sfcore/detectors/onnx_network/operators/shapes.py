"""Operators that move values about. What depends on shapes alone is worked out beforehand, for one image."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.onnx_network.node import Apply, Node
from sfcore.detectors.onnx_network.operators import operator

Shape = tuple[int, ...]


@operator("Reshape")
def reshape(node: Node) -> Apply:
    """See :func:`of_batch` for several images."""
    wanted, seen = node.ints("shape", 1) or [], node.shape
    if not node.get("allowzero", 0):
        wanted = [seen[place] if size == 0 else size for place, size in enumerate(wanted)]
    return _reshaping(node, wanted)


@operator("Flatten")
def flatten(node: Node) -> Apply:
    """To two axes."""
    axis = int(node.get("axis", 1))
    axis = axis + node.rank if axis < 0 else axis
    return _reshaping(node, [prod(node.shape[:axis]), -1])


def _reshaping(node: Node, wanted: list[int]) -> Apply:
    known = prod(size for size in wanted if size != -1)
    target = tuple(prod(node.shape) // max(known, 1) if size == -1 else size for size in wanted)
    if prod(target) != prod(node.shape):
        raise node.refusal(f"{node.shape} does not fit into {target}")
    return partial(_reshaped, node.shape, target)


def _reshaped(seen: Shape, target: Shape, x: Tensor) -> Tensor:
    return x.reshape(of_batch(seen, target, tuple(x.shape)))


def of_batch(seen: Shape, target: Shape, now: Shape) -> Shape:
    """The target of a reshape for several images, where the file says it for one.

    An axis of the input has grown by the number of images. An axis of the target grows by it, too, at one of whose ends
    values are cut as they were at an end of the grown one; then each stays with its image if images lay at that end.
    An axis of one is preferred, for it is most often that of images, and the last is avoided. Whether the choice is
    right is tried when a graph is read.

    Args:
        seen, target: shapes of input and output of one image.
        now: shape of the input.
    """
    grown = [axis for axis in range(len(seen)) if now[axis : axis + 1] != seen[axis : axis + 1]]
    if not grown or len(now) != len(seen):
        return target
    (axis, *others), places = grown, range(len(target))
    before, after = prod(seen[:axis]), prod(seen[: axis + 1])
    leading = [place for place in places if prod(target[:place]) == before]
    single = [place for place in places if target[place] == 1 and prod(target[:place]) in (before, after)]
    trailing = [place for place in places if prod(target[: place + 1]) == before]
    inner = [place for place in leading if place < len(target) - 1]
    if others or now[axis] % seen[axis] or not (single or leading):
        raise ValueError(f"{now} cannot be reshaped as {seen} is to {target}: images cannot be told apart")
    at = [*(place for place in single if place in leading), *single, *inner, *trailing, *leading][0]
    return (*target[:at], target[at] * now[axis] // seen[axis], *target[at + 1 :])


@operator("Transpose")
def transpose(node: Node) -> Apply:
    """The axes in another order; backwards where none is given."""
    return partial(torch.permute, dims=node.ints("perm") or list(range(node.rank))[::-1])


@operator("Squeeze")
def squeeze(node: Node) -> Apply:
    """Without axes of one."""
    axes = node.axes(1)
    axes = [axis for axis, size in enumerate(node.shape) if size == 1] if axes is None else axes
    return partial(_squeezed, axes)


def _squeezed(axes: list[int], x: Tensor) -> Tensor:
    if any(x.shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {tuple(x.shape)} cannot be left out")
    return x.squeeze(axes)


@operator("Unsqueeze")
def unsqueeze(node: Node) -> Apply:
    """With new axes of one."""
    axes = node.ints("axes", 1) or []
    rank = node.rank + len(axes)
    return partial(_unsqueezed, sorted(node.from_front(axis, rank) for axis in axes))


def _unsqueezed(axes: list[int], x: Tensor) -> Tensor:
    for axis in axes:
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(node: Node) -> Apply:
    """Repeated along axes of one."""
    return partial(_expanded, node.ints("shape", 1) or [])


def _expanded(shape: list[int], x: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, shape))


@operator("Tile")
def tile(node: Node) -> Apply:
    """Repeated along all axes."""
    return partial(torch.tile, dims=node.ints("repeats", 1) or [])


@operator("Concat")
def concat(node: Node) -> Apply:
    """Joined along an axis."""
    return partial(_joined, node.axis())


def _joined(axis: int, *values: Tensor) -> Tensor:
    """What is the same for all images is repeated for each."""
    shapes = [[*value.shape[:axis], 1, *value.shape[axis + 1 :]] for value in values]
    if any(shape != shapes[0] for shape in shapes):
        common = torch.broadcast_shapes(*shapes)
        values = tuple(v.expand(*common[:axis], v.shape[axis], *common[axis + 1 :]) for v in values)
    return torch.cat(values, axis)


@operator("Split")
def split(node: Node) -> Apply:
    """Cut along an axis, into equal parts where no sizes are given."""
    axis = node.axis()
    sizes = node.ints("split", 1)
    if sizes is None:
        whole, parts = node.shape[axis], int(node.get("num_outputs", node.parts))
        size = -(-whole // parts)
        sizes = [min(size, whole - start) for start in range(0, whole, size)]
    return partial(torch.split, split_size_or_sections=sizes, dim=axis)


@operator("Slice")
def slices(node: Node) -> Apply:
    """Backwards, too."""
    starts, ends = node.ints("starts", 1) or [], node.ints("ends", 2) or []
    axes = node.axes(3)
    axes = list(range(len(starts))) if axes is None else axes
    steps = node.ints("steps", 4) or [1] * len(starts)
    cuts = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = node.shape[axis]
        if (start, step) == (0, 1) and end >= size:
            continue  # all of it, however many images there are
        end = None if step < 0 and end < -size else end  # type: ignore[assignment]
        cuts.append((axis, range(*slice(start, end, step).indices(size))))
    return partial(_sliced, cuts)


def _sliced(cuts: list[tuple[int, range]], x: Tensor) -> Tensor:
    for axis, places in cuts:
        if places.step > 0:
            x = x[(*[slice(None)] * axis, slice(places.start, places.stop, places.step))]
        else:
            low, high = (places[-1], places[0] + 1) if places else (0, 0)
            x = x[(*[slice(None)] * axis, slice(low, high))].flip(axis)
            x = x[(*[slice(None)] * axis, slice(0, None, -places.step))]
    return x


@operator("Gather")
def gather(node: Node) -> Apply:
    """Slices at places along an axis."""
    axis, index = node.axis(), node.constants.get(1)
    if index is not None and index.ndim == 0:
        node.taken.add(1)
        return partial(torch.select, dim=axis, index=int(index) % node.shape[axis])
    return partial(_gathered, axis)


def _gathered(axis: int, x: Tensor, index: Tensor) -> Tensor:
    found = x.index_select(axis, (index % x.shape[axis]).flatten())
    return found.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


@operator("GatherElements")
def gather_elements(node: Node) -> Apply:
    """One value for each place along an axis."""
    return partial(_gathered_elements, node.axis())


def _gathered_elements(axis: int, x: Tensor, index: Tensor) -> Tensor:
    return torch.gather(x, axis, index % x.shape[axis])


@operator("GatherND")
def gather_nd(node: Node) -> Apply:
    """Values or slices at places along the first axes."""
    node.require("batch_dims", 0)
    return _gathered_nd


def _gathered_nd(x: Tensor, index: Tensor) -> Tensor:
    return x[tuple(index.unbind(-1))]


@operator("ScatterND")
def scatter_nd(node: Node) -> Apply:
    """A copy with other values, or values added, at places along the first axes."""
    return partial(_scattered_nd, node.require("reduction", "none", "add") == "add")


def _scattered_nd(add: bool, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    return x.index_put(tuple(index.unbind(-1)), updates, accumulate=add)


@operator("DepthToSpace")
def depth_to_space(node: Node) -> Apply:
    """Channels become cells of a block."""
    mode = node.require("mode", "DCR", "CRD")
    size = int(node.get("blocksize"))
    return partial(functional.pixel_shuffle, upscale_factor=size) if mode == "CRD" else partial(_from_depth, size)


def _from_depth(size: int, x: Tensor) -> Tensor:
    x = x.unflatten(1, (size, size, -1)).permute(0, 3, 4, 1, 5, 2)
    return x.flatten(4, 5).flatten(2, 3)


@operator("SpaceToDepth")
def space_to_depth(node: Node) -> Apply:
    """Cells of a block become channels."""
    return partial(_to_depth, int(node.get("blocksize")))


def _to_depth(size: int, x: Tensor) -> Tensor:
    x = x.unflatten(3, (-1, size)).unflatten(2, (-1, size))
    return x.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


@operator("Trilu")
def triangle(node: Node) -> Apply:
    """What lies above or below a diagonal."""
    found = node.constant(1)
    cut = torch.triu if node.get("upper", 1) else torch.tril
    return partial(cut, diagonal=int(np.ravel(found)[0]) if found is not None else 0)
