"""From CenterPoint's maps to boxes, and from boxes to the heat map that teaches them (Yin et al., CVPR 2021).

The post-process and the assignment of labels of the published code as batched tensor operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.detectors.heat_maps import first_gaussian_radius, spread
from sfcore.devices import constant
from sfcore.inputs.points import PointCloud
from sfcore.tasks.boxes3d.geometry import nms

LARGEST = 5.0  # log of metres that no side exceeds, lest noise make one infinite
LEAST_RADIUS = 2  # cells
OVERLAP = 0.1  # of boxes that the Gaussian around a centre reaches


@dataclass(frozen=True)
class Grid:
    """Where the cells of the heads lie.

    Attributes:
        corner: x, y in metres of the first cell's least corner.
        cell: side of a cell in metres.
        size: rows and columns.
    """

    corner: tuple[float, float]
    cell: float
    size: tuple[int, int]

    @classmethod
    def of(cls, cloud: PointCloud, stride: int) -> Grid:
        """Cells of ``stride`` pillars."""
        rows, columns = cloud.size
        return cls(cloud.extent[:2], stride * cloud.pillar, (rows // stride, columns // stride))


@dataclass(frozen=True)
class Picking:
    """How cells become boxes.

    Attributes:
        score: a box is more confident than this.
        before: most boxes of a group of classes that suppression compares, the surest.
        after: most boxes of a group that it leaves.
        overlap: of the ground, that two boxes of a group may share; IoU.
        reach: x, y and z in metres beyond which, either way, no centre may lie.
    """

    score: float
    before: int
    after: int
    overlap: float
    reach: tuple[float, float, float]


def cell_boxes(outputs: Outputs, grid: Grid) -> Tensor:
    """(B, G, h, w, 8) x, y, z, length, width, height, sine and cosine of the yaw of each group's box in every cell.

    Differentiable. Sine and cosine need not be of one angle.
    """
    reg, height, dim, rot = (
        outputs[name].unflatten(1, (-1, channels)).movedim(2, -1)
        for name, channels in (("reg", 2), ("height", 1), ("dim", 3), ("rot", 2))
    )
    y, x = torch.meshgrid(*(torch.arange(n, device=reg.device, dtype=reg.dtype) for n in grid.size), indexing="ij")
    centre = (torch.stack([x, y], -1) + reg) * grid.cell + constant(grid.corner, reg.device, reg.dtype)
    return torch.cat([centre, height, dim.clamp(-LARGEST, LARGEST).exp(), rot], -1)


@dataclass(frozen=True)
class Found:
    """The boxes of a batch, the surest first; empty slots are NaN.

    Attributes:
        box: (B, L, 7).
        score, label: (B, L).
    """

    box: Tensor
    score: Tensor
    label: Tensor


def pick(outputs: Outputs, groups: tuple[int, ...], grid: Grid, settings: Picking) -> Found:
    """The boxes of all groups of classes, each group suppressed on its own, as published.

    Args:
        groups: how many classes each has.
    """
    boxes = cell_boxes(outputs, grid).flatten(2, 3)
    heats = outputs["hm"].sigmoid().flatten(2).split(groups, 1)
    found, first = [], 0
    for group, heat in enumerate(heats):
        score, label = heat.max(1)
        found.append(_suppressed(boxes[:, group], score, label + first, settings))
        first += groups[group]
    box, score, label = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    return Found(*_sorted(box, score, label, box.shape[1]))


def _suppressed(box: Tensor, score: Tensor, label: Tensor, settings: Picking) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, 7), (B, L), (B, L) of the (B, N) cells of one group that stay."""
    reach = constant(settings.reach, box.device, box.dtype)
    wanted = (score > settings.score) & (box[..., :3].abs() <= reach).all(-1)
    most = max(1, min(settings.before, int(wanted.sum(1).max())))
    box, score, label = _sorted(box, score.where(wanted, 0), label, most)
    yaw = torch.atan2(box[..., 6], box[..., 7])
    box = torch.cat([box[..., :6], yaw.unsqueeze(-1)], -1)
    box = box.masked_fill(score.unsqueeze(-1) == 0, float("nan"))
    kept = nms(box, score, settings.overlap)
    box, score, label = _sorted(box, score.where(kept, 0), label, min(settings.after, most))
    return box.masked_fill(score.unsqueeze(-1) == 0, float("nan")), score, label.masked_fill(score == 0, 0)


def _sorted(box: Tensor, score: Tensor, label: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``most`` surest; of equally sure ones the first, whatever else is in the batch."""
    order = score.sort(dim=1, descending=True, stable=True).indices[:, :most]
    return (
        box.gather(1, order.unsqueeze(-1).expand(-1, -1, box.shape[-1])),
        score.gather(1, order),
        label.gather(1, order),
    )


def taught(box: Tensor, label: Tensor, classes: int, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """What boxes teach a heat map.

    Args:
        box: (B, L, 7); NaN where a slot is empty.
        label: (B, L) long.

    Returns:
        (B, classes, h, w) the largest of the Gaussians around the cells of the boxes' centres, 1 at these cells;
        (B, L) long, the cell of each box, counted row by row; (B, L) bool, which boxes have one.
    """
    rows, columns = grid.size
    place = (box[..., :2] - constant(grid.corner, box.device, box.dtype)) / grid.cell
    column, row = place.nan_to_num(-1).floor().long().unbind(-1)
    there = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    frame, slot = there.nonzero(as_tuple=True)
    places = torch.stack([frame, *(each[frame, slot] for each in (label, row, column))], 1)
    length, width = (box[frame, slot, 3:5] / grid.cell).unbind(-1)
    reach = first_gaussian_radius(length, width, OVERLAP).floor().clamp_min(LEAST_RADIUS).long()
    heat = spread((len(box), classes, rows, columns), places, reach)
    return heat, (row * columns + column).where(there, 0), there
