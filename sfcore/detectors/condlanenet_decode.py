"""From CondLaneNet's maps to lanes: peaks of the heat map, one for each lane, and each lane's column in every row.

The published post-process (Liu et al. 2021; ``CondLanePostProcessor`` of its code) as batched tensor
operations. Columns and rows are cells of the fine map; a cell stands for its upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.detectors.ganet_decode import FAR, chain, rank_in_image
from sfcore.detectors.heat_maps import peaks


@dataclass(frozen=True)
class Picking:
    """How peaks of the heat map become lanes.

    Attributes:
        heat: the largest of nine neighbours is a peak above this.
        near: cells of the heat map within which peaks, one to the next, are the same lane's.
        lanes: most lanes of one image, the hottest.
    """

    heat: float = 0.5
    near: float = 4.0
    lanes: int = 8


@dataclass(frozen=True)
class Picked:
    """The N lanes of a batch, image by image, the hottest first.

    Attributes:
        image, slot: (N,) long, index of each one's image and its place among that image's lanes.
        cells: (B, L) long, cell of the heat map that each slot reads, counted row by row; any where it is empty.
        score: (B, L) heat of that cell, 0 where the slot is empty.
    """

    image: Tensor
    slot: Tensor
    cells: Tensor
    score: Tensor

    def read(self, head: Tensor) -> Tensor:
        """(N, C) what a (B, C, h, w) map says at the lanes' cells."""
        return head.flatten(2)[self.image, :, self.cells[self.image, self.slot]]


def pick(hm: Tensor, settings: Picking) -> Picked:
    """Peaks of the (B, 1, h, w) logits; of peaks near each other the last in reading order stays, as published."""
    heat = hm.sigmoid().clamp(1e-4, 1 - 1e-4)
    image, _, y, x = peaks(heat, settings.heat).nonzero(as_tuple=True)
    rank = rank_in_image(image, len(hm))
    count = max(settings.lanes, int(rank.max()) + 1 if len(rank) else 0)
    place, score = heat.new_full((len(hm), count, 2), FAR), heat.new_zeros(len(hm), count)
    cells = image.new_zeros(len(hm), count)
    place[image, rank] = torch.stack([x, y], -1).to(heat)
    score[image, rank] = heat[image, 0, y, x]
    cells[image, rank] = y * hm.shape[3] + x
    group = chain(place, settings.near)
    later = torch.triu(group.unsqueeze(1) == group.unsqueeze(2), 1)
    score = score.masked_fill(later.any(2), 0)
    # A stable sort: of lanes equally hot the first wins, whatever else is in the batch.
    hottest = score.sort(dim=1, descending=True, stable=True).indices[:, : settings.lanes]
    score, cells = score.gather(1, hottest), cells.gather(1, hottest)
    lane_image, slot = score.nonzero(as_tuple=True)
    return Picked(lane_image, slot, cells, score)


def columns(outputs: Outputs, picked: Picked, first: Tensor, last: Tensor) -> Tensor:
    """(N, H) column of each lane in its rows from ``first`` to ``last``, 0 in the others.

    It is the mean of the location map, cut to a whole cell, plus the offset there. The parts of the location map
    that are equal for a whole row, the weight of y and the bias, cancel in the softmax along the row: left out.
    """
    features, image = outputs["features"], picked.image
    height, width = features.shape[2:]
    rows = torch.arange(height, device=features.device)
    lane, y = ((rows >= first) & (rows <= last)).nonzero(as_tuple=True)
    x = torch.arange(width, device=features.device, dtype=features.dtype)
    maps = location_maps(outputs["location"][:, 2:], features, picked)[image[lane], picked.slot[lane], y]
    slope, kernel = picked.read(outputs["location"])[:, :1], picked.read(outputs["offset"])[lane]
    column = ((maps + slope[lane] * (x / width)).softmax(-1) * x).sum(-1).long()
    places = torch.stack([column, y], -1) / width
    offset = (torch.cat([places, features[image[lane], :, y, column]], -1) * kernel).sum(-1)
    found = features.new_zeros(len(image), height)
    found[lane, y] = column + offset + picked.read(outputs["shift"])[lane, 0]
    return found


def location_maps(kernels: Tensor, features: Tensor, picked: Picked) -> Tensor:
    """(B, L, H, W) what the kernels (B, C, h, w) of the picked cells make of the features (B, C, H, W).

    All images have the same number of slots, empty ones too, so that sums are rounded alike in every batch.
    """
    slots = picked.cells.unsqueeze(1).expand(-1, features.shape[1], -1)
    chosen = kernels.flatten(2).gather(2, slots).transpose(1, 2)
    return torch.bmm(chosen, features.flatten(2)).unflatten(2, features.shape[2:])


def extents(outputs: Outputs, picked: Picked) -> tuple[Tensor, Tensor]:
    """(N, 1) first and last row of each lane: one beyond those where it exists; first > last where there are none."""
    exists = picked.read(outputs["range"]) > 0
    height = exists.shape[1]
    first = exists.int().argmax(1, keepdim=True) - 1
    last = height - exists.flip(1).int().argmax(1, keepdim=True)
    first = first.clamp_min(0).masked_fill(~exists.any(1, keepdim=True), height)
    return first, last.clamp_max(height - 1)
