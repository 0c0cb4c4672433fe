"""What detectors of boxes by their centres share: which cells of a heat map are centres, and corners as points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.detectors.base import Outputs, RoadPoints
from sfcore.detectors.heat_maps import hottest_around
from sfcore.tasks.boxes2d.task import REFERENCE_WIDTH

FAINT = 0.05  # cells less confident than this make no points


@dataclass(frozen=True)
class Picking:
    """Which cells are centres of objects.

    Attributes:
        most: the best cells of an image over all classes that are taken.
        least: confidence that a centre exceeds.
    """

    most: int
    least: float


@dataclass(frozen=True)
class Centres:
    """The best centres of each image, the surest first, K of them.

    Attributes:
        score: (B, K) confidence.
        label: (B, K) long, the class.
        cell: (B, K) long, row by row.
    """

    score: Tensor
    label: Tensor
    cell: Tensor

    def read(self, maps: Tensor) -> Tensor:
        """(B, K, C) what maps (B, C, h, w) say at the centres."""
        values = maps.flatten(2)
        return values.gather(2, self.cell.unsqueeze(1).expand(-1, values.shape[1], -1)).transpose(1, 2)


def centres(heat: Tensor, most: int) -> Centres:
    """The best cells of positive maps (B, C, h, w) that no neighbour in their own map exceeds; equals are kept."""
    peaks = torch.where(heat == hottest_around(heat), heat, torch.zeros_like(heat)).flatten(1)
    score, place = peaks.topk(min(most, peaks.shape[1]))
    cells = heat.shape[2] * heat.shape[3]
    return Centres(score, place // cells, place % cells)


def cell_indices(maps: Tensor) -> Tensor:
    """(2, h, w) column and row of each cell of maps (B, C, h, w)."""
    rows, columns = (torch.arange(n, dtype=maps.dtype, device=maps.device) for n in maps.shape[2:])
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([column, row])


def sides(centre: Tensor, size: Tensor) -> Tensor:
    """(B, 4, ...) left, top, right, bottom of boxes from (B, 2, ...) x, y of their centres and width, height."""
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def corner_points(boxes: Tensor, heat: Tensor, width: int) -> RoadPoints:
    """The sides of a box in every cell as points, weighted with the confidence of the surest class there.

    Args:
        boxes: (B, 4, h, w) in pixels of an image ``width`` wide.
        heat: (B, C, h, w) confidences.
    """
    sure = heat.detach().amax(1, keepdim=True)
    weight = torch.where(sure > FAINT, sure, torch.zeros_like(sure)).expand_as(boxes)
    return RoadPoints((boxes * (REFERENCE_WIDTH / width)).flatten(1), weight.flatten(1))


def surest(outputs: Outputs, head: str) -> Tensor:
    """(B, 1, h, w) of a heat map of logits, the probability of the surest class in each cell."""
    return outputs[head].sigmoid().amax(1, keepdim=True)
