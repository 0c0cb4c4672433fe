"""Where boxes in space lie and how they overlap: corners, exact rotated IoU, non-maximum suppression.

Boxes are (..., 7): centre x, y, z, length, width, height in metres, yaw in radians, see
:class:`~sfcore.tasks.boxes3d.types.Boxes3d`. What a slot of NaN overlaps with is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.devices import constant
from sfcore.tasks.suppression import suppressed

_SIDES = ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5))  # front left, then counter-clockwise seen from above


def ground_corners(box: Tensor) -> Tensor:
    """(..., 4, 2) x, y of the corners seen from above: front left, rear left, rear right, front right."""
    local = box[..., None, 3:5] * constant(_SIDES, box.device, box.dtype)
    return box[..., None, :2] + turned(local, box[..., 6, None])


def corners(box: Tensor) -> Tensor:
    """(..., 8, 3) x, y, z of all corners: the four of :func:`ground_corners` at the bottom, then at the top."""
    ground = ground_corners(box)
    ends = box[..., 2, None] + box[..., 5, None] * constant((-0.5, 0.5), box.device, box.dtype)
    height = ends.repeat_interleave(4, -1)
    return torch.cat([torch.cat([ground, ground], -2), height[..., None]], -1)


def turned(point: Tensor, angle: Tensor) -> Tensor:
    """Points (..., 2) turned by angles (...) counter-clockwise about the origin."""
    cos, sin = angle.cos(), angle.sin()
    x, y = point.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


def bev_iou(first: Tensor, second: Tensor) -> Tensor:
    """(..., L, M) share of the ground that each of ``first`` (..., L, 7) has in common with each of ``second``
    (..., M, 7); the heights do not matter."""
    shared = bev_overlap(first, second)
    area_1, area_2 = (box[..., 3] * box[..., 4] for box in (first, second))
    return _share(shared, area_1, area_2)


def iou_3d(first: Tensor, second: Tensor) -> Tensor:
    """(..., L, M) share of the volume that each of ``first`` (..., L, 7) has in common with each of ``second``."""
    (low_1, top_1), (low_2, top_2) = (_ends(box) for box in (first, second))
    top = torch.minimum(top_1[..., :, None], top_2[..., None, :])
    low = torch.maximum(low_1[..., :, None], low_2[..., None, :])
    shared = bev_overlap(first, second) * (top - low).clamp(min=0).nan_to_num(0)
    volume_1, volume_2 = (box[..., 3:6].prod(-1) for box in (first, second))
    return _share(shared, volume_1, volume_2)


def bev_overlap(first: Tensor, second: Tensor) -> Tensor:
    """(..., L, M) square metres of ground that each of ``first`` shares with each of ``second``; differentiable.

    Only pairs that can touch are computed, for most do not.
    """
    one, other = first[..., :, None, :], second[..., None, :, :]
    reach = (one[..., 3:5].norm(dim=-1) + other[..., 3:5].norm(dim=-1)) / 2
    near = ((one[..., :2] - other[..., :2]).norm(dim=-1) < reach).nonzero(as_tuple=True)  # never so for NaN
    shape = torch.broadcast_shapes(one.shape[:-1], other.shape[:-1])
    found = first.new_zeros(shape)
    found[near] = overlap_of_pairs(one.expand(*shape, 7)[near], other.expand(*shape, 7)[near])
    return found


def overlap_of_pairs(one: Tensor, other: Tensor) -> Tensor:
    """(N,) square metres that each of ``one`` (N, 7) shares with its counterpart of ``other`` (N, 7).

    In the frame of ``other``, which is an upright window there, the area of ``one`` is ∮ -y dx along its outline; with
    x and y clamped to the window it is the area of what both share. Every side's term is continuous, so sides that lie
    on each other need no care.
    """
    half_x, half_y = (other[:, 3:5, None] / 2).unbind(1)
    apart = turned(one[:, :2] - other[:, :2], -other[:, 6])
    local = one[:, None, 3:5] * constant(_SIDES, one.device, one.dtype)
    start = turned(local, (one[:, 6] - other[:, 6])[:, None]) + apart[:, None]
    (x, y), (run, rise) = start.unbind(-1), (start.roll(-1, 1) - start).unbind(-1)
    left, right = _clamped(x, half_x), _clamped(x + run, half_x)
    begin, end = (y + rise * _reached(edge - x, run) for edge in (left, right))
    area = ((left - right) * _mean_clamped(begin, end, half_y)).sum(1)
    return area.clamp(min=0).minimum(torch.minimum(one[:, 3] * one[:, 4], other[:, 3] * other[:, 4]))


def _mean_clamped(begin: Tensor, end: Tensor, limit: Tensor) -> Tensor:
    """The mean of a value that goes evenly from ``begin`` to ``end`` and is clamped to ±``limit``: three trapezia."""
    span = end - begin
    low, high = _reached(-limit - begin, span), _reached(limit - begin, span)
    breaks = torch.stack([torch.zeros_like(low), torch.minimum(low, high), torch.maximum(low, high)])
    breaks = torch.cat([breaks, torch.ones_like(low)[None]])
    value = _clamped(begin + breaks * span, limit)
    return ((breaks[1:] - breaks[:-1]) * (value[1:] + value[:-1])).sum(0) / 2


def _reached(distance: Tensor, span: Tensor) -> Tensor:
    """Which share of ``span`` a distance is, in [0, 1]."""
    return (distance / torch.where(span == 0, 1.0, span)).clamp(0, 1)


def _clamped(value: Tensor, limit: Tensor) -> Tensor:
    return torch.maximum(torch.minimum(value, limit), -limit)


def _ends(box: Tensor) -> tuple[Tensor, Tensor]:
    """Bottom and top of boxes, metres."""
    return box[..., 2] - box[..., 5] / 2, box[..., 2] + box[..., 5] / 2


def _share(shared: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(..., L, M) what is shared over what both cover together; 0 where neither covers anything."""
    both = first[..., :, None] + second[..., None, :] - shared
    return torch.where(both > 0, shared / both.clamp(min=torch.finfo(shared.dtype).tiny), 0.0)


def nms(box: Tensor, score: Tensor, most: float, label: Tensor | None = None) -> Tensor:
    """(B, K) bool: the boxes that rotated non-maximum suppression keeps.

    Greedy by score, the earlier slot first among equals: a box goes where one that stays, of a higher score, shares
    more than ``most`` of the ground with it.

    Args:
        box: (B, K, 7); NaN where a slot is empty, which is not kept.
        score: (B, K); boxes that must not count at all are given as empty slots, not by their score.
        most: the BEV IoU that is still allowed.
        label: (B, K) the class of each box, where boxes of different classes leave each other alone.
    """
    order = score.argsort(dim=1, descending=True, stable=True)
    ranked = box.gather(1, order[..., None].expand_as(box))
    clash = bev_iou(ranked, ranked) > most
    if label is not None:
        kind = label.gather(1, order)
        clash &= kind[:, :, None] == kind[:, None, :]
    present = ~ranked.isnan().any(-1)
    keep = present & ~suppressed(clash & present[:, :, None])
    return torch.empty_like(keep).scatter(1, order, keep)
