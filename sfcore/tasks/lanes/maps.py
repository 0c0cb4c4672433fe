"""Lanes read off a map of probabilities: where lane lines are, and nothing else."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sfcore.tasks.base import Points
from sfcore.tasks.lanes.types import Lanes


def cell_centres(cells: int, pixels: int) -> Tensor:
    """(cells,) where the cells of an axis lie in a frame of so many pixels."""
    return (torch.arange(cells) + 0.5) * pixels / cells - 0.5


def lanes_of_map(
    probability: Tensor, columns: Tensor, rows: Tensor, frame: tuple[int, int], most: int = 8, least_rows: int = 12
) -> Lanes:
    """Cells above one half that touch are one lane; in each row it is at their mean by probability.

    Args:
        probability: (B, R, C) that a cell shows a lane line.
        columns, rows: (C,) and (R,) where the cells lie, in pixels of ``frame``.
        most: lanes of an image, the largest.
        least_rows: rows that a lane must cover.
    """
    maps = probability.detach().cpu().numpy()
    x, score = np.full((len(maps), most, len(rows)), np.nan), np.zeros((len(maps), most))
    for image, values in enumerate(maps):
        regions, count = ndimage.label(values > 0.5, np.ones((3, 3)))
        cells = [regions == number for number in range(1, count + 1)]
        tall = sorted((each for each in cells if each.any(1).sum() >= least_rows), key=lambda each: -each.sum())
        for slot, each in enumerate(tall[:most]):
            seen, share = each.any(1), each * values
            x[image, slot, seen] = (share @ columns.cpu().numpy())[seen] / share.sum(1)[seen]
            score[image, slot] = values[each].mean()
    return Lanes(torch.as_tensor(x).to(probability), torch.as_tensor(score).to(probability), rows, frame)


def points_of_map(probability: Tensor, columns: Tensor, windows: int = 10) -> Points:
    """In each of some parts of each row, the column at which the lane line is, if it is there.

    Args:
        probability: (B, R, C) that a cell shows a lane line.
        columns: (C,) where the cells lie, in pixels at 640 px image width.
        windows: parts of a row; a divisor of C.
    """
    lane = probability.unflatten(2, (windows, -1))  # (B, rows, parts, cells)
    share, place = lane.square(), columns.unflatten(0, (windows, -1))
    position = (share * place).sum(-1) / share.sum(-1).clamp_min(1e-9)
    weight = lane.amax(-1).detach()
    return Points(position.flatten(1), (weight * (weight > 0.5)).flatten(1))
