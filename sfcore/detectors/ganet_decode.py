"""From GANet's maps to lanes: keypoints, the start points that they point at, groups, lines.

The published post-process (Wang et al. 2022, section 3.2; ``ktdet_decode_fast`` and grouping by centres of
its code) as batched tensor operations. All coordinates are cells of the grid until :func:`sample_rows`.
Published lines list a lane's keypoints one after the other; here keypoints of one lane in the same row of
cells are averaged and the line between rows is straight, without the published rounding to whole pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Outputs
from sfcore.detectors.heat_maps import row_peaks

FAR = float("inf")  # the place of what is absent: nothing is near it


@dataclass(frozen=True)
class Grouping:
    """How keypoints become lanes.

    Attributes:
        keypoint: heat above which the largest of three neighbours in a row is a keypoint.
        start: a keypoint whose start point lies less than this many cells below it marks a start.
        near: cells within which start points are the same lane's.
        points: a lane has more keypoints than this.
        starts: most marked starts of one image that are looked at, the hottest.
        groups: most groups of one image that are looked at, from the left.
        lanes: most lanes of one image, those with the most keypoints.
    """

    keypoint: float
    near: float
    points: int
    start: float = 1.0
    starts: int = 128
    groups: int = 64
    lanes: int = 8


@dataclass(frozen=True)
class Keypoints:
    """The N keypoints of a batch, image by image; a small share of the cells, so they are kept as a list.

    Attributes:
        image: (N,) index of each one's image.
        cell: (N, 2) long, column and row of its cell.
        heat: (N,) its confidence.
        place, root: (N, 2) x, y of its exact place and of the start point that it points at.
        batch: number of images.
        height: rows of cells.
    """

    image: Tensor
    cell: Tensor
    heat: Tensor
    place: Tensor
    root: Tensor
    batch: int
    height: int


def cell_grid(like: Tensor) -> Tensor:
    """(2, H, W): column and row of each cell of a (…, H, W) map."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=like.device) for n in (height, width)), indexing="ij")
    return torch.stack([x, y]).to(like)


def find_keypoints(outputs: Outputs, settings: Grouping) -> Keypoints:
    """Peaks along x of the keypoint heat map, moved by the error, with the start points that they point at."""
    heat = outputs["kpts"].sigmoid().clamp(1e-4, 1 - 1e-4)
    image, _, y, x = row_peaks(heat, settings.keypoint).nonzero(as_tuple=True)
    cell = torch.stack([x, y], -1)
    place, root = (cell + outputs[head][image, :, y, x] for head in ("error", "offset"))
    return Keypoints(image, cell, heat[image, 0, y, x], place, root, len(heat), heat.shape[2])


def start_centres(keypoints: Keypoints, settings: Grouping) -> Tensor:
    """Group the cells that mark starts: each, from left to right, joins the first group with a member near it.

    Returns:
        (B, G, 2) whole-cell mean x, y of each group in the order of their first members; inf where there is none.
    """
    place = _marked_starts(keypoints, settings)
    group = chain(place, settings.near)
    place = place.masked_fill(place.isinf(), 0)
    return _means(place, group, place.shape[1])[:, : settings.groups]


def chain(place: Tensor, near: float) -> Tensor:
    """Group places one after the other: each joins the first group with a member near it, or opens a group.

    Args:
        place: (B, S, 2), inf where there is none.

    Returns:
        (B, S) long: the group of each place, numbered in the order of first members; S for what is absent.
    """
    count = place.shape[1]
    # Places first, images second: the loop then reads whole rows.
    x, y = (place[..., axis].T.contiguous() for axis in range(2))
    present = x.isfinite()
    group = torch.full(x.shape, count, dtype=torch.int32, device=x.device)
    used = group.new_zeros(len(place))
    for i in range(count):
        earlier = slice(i + 1)  # and itself, of no group yet
        close = (x[earlier] - x[i]).square() + (y[earlier] - y[i]).square() <= near**2
        joined = group[earlier].masked_fill(~close, count).amin(0)
        opens = present[i] & (joined == count)
        group[i] = torch.where(opens, used, joined)
        used = used + opens
    return group.T.long()


def _marked_starts(keypoints: Keypoints, settings: Grouping) -> Tensor:
    """(B, S, 2) the cells whose start point lies near them, from left to right, column by column; inf beyond."""
    marks = (keypoints.root[:, 1] - keypoints.cell[:, 1] < settings.start).nonzero().flatten()
    # Heat is below 1: this sorts by image, the hottest first.
    marks = marks[(keypoints.image[marks] - keypoints.heat[marks].double() / 2).argsort(stable=True)]
    marks = marks[rank_in_image(keypoints.image[marks], keypoints.batch) < settings.starts]
    column, row = keypoints.cell[marks].unbind(1)
    marks = marks[((keypoints.image[marks] << 40) + (column << 20) + row).argsort()]
    image = keypoints.image[marks]
    rank = rank_in_image(image, keypoints.batch)
    most = int(rank.max()) + 1 if len(rank) else 0
    place = keypoints.root.new_full((keypoints.batch, most, 2), FAR)
    place[image, rank] = keypoints.cell[marks].to(place)
    return place


def rank_in_image(image: Tensor, batch: int) -> Tensor:
    """Position of each entry within its image, for entries sorted by image."""
    number = torch.bincount(image, minlength=batch)
    return torch.arange(len(image), device=image.device) - (number.cumsum(0) - number)[image]


def _means(place: Tensor, group: Tensor, count: int) -> Tensor:
    """(B, G, 2) mean place of each group's members, cut to whole cells; group ``count`` is nobody's."""
    empty = place.new_zeros(len(place), count + 1)
    number = empty.scatter_add(1, group, torch.ones_like(place[..., 0]))
    total = torch.stack([empty.scatter_add(1, group, place[..., i]) for i in range(2)], -1)
    centres = (total / number.unsqueeze(-1)).floor().masked_fill(number.unsqueeze(-1) == 0, FAR)
    most = int((number[:, :count] > 0).sum(1).amax()) if count else 0
    return centres[:, :most]


def assign(keypoints: Keypoints, centres: Tensor, near: float) -> Tensor:
    """(N,) long: the first group whose centre is near each keypoint's start point, or -1."""
    if not centres.shape[1]:
        return torch.full_like(keypoints.image, -1)
    x, y = ((centres[keypoints.image, :, i] - keypoints.root[:, i : i + 1]).square_() for i in range(2))
    joins = x.add_(y) <= near**2
    return torch.where(joins.any(1), joins.to(torch.uint8).argmax(1), -1)


def tracks(keypoints: Keypoints, settings: Grouping) -> tuple[Tensor, Tensor]:
    """The lanes of each image as mean keypoints per row of cells.

    Returns:
        (B, L, 2, H) x and y in cells, NaN where a lane has no keypoint; (B, L) mean heat of each lane, 0 for no lane.
    """
    batch, height = keypoints.batch, keypoints.height
    centres = start_centres(keypoints, settings)
    group = assign(keypoints, centres, settings.near)
    groups = max(centres.shape[1], 1)
    # Keypoints of no group go to one more slot, which is cut off.
    slot = (keypoints.image * groups + group) * height + keypoints.cell[:, 1]
    slot = slot.masked_fill_(group < 0, batch * groups * height)
    heat = keypoints.heat.unsqueeze(-1)
    values = torch.cat([torch.ones_like(heat), heat, keypoints.place], 1)
    totals = values.new_zeros(batch * groups * height + 1, 4).index_add_(0, slot, values)[:-1]
    sums = totals.view(batch, groups, height, 4).unbind(-1)
    number, warmth = sums[0].sum(-1), sums[1].sum(-1)
    lane = number > settings.points
    line = torch.stack(sums[2:], 2) / sums[0].unsqueeze(2)  # 0 / 0 is NaN: no keypoint in this row
    score = warmth / number.clamp_min(1)
    # One group more, which is no lane, stands in for the slots that stay empty.
    line = functional.pad(line, (0, 0, 0, 0, 0, 1), value=float("nan"))
    # A stable sort: of lanes with as many keypoints the left ones win, whatever else is in the batch.
    most, best = (number * lane).sort(dim=1, descending=True, stable=True)
    most, best = most[:, : settings.lanes], best[:, : settings.lanes]
    best = best.masked_fill(most == 0, groups).sort(1).values
    best = functional.pad(best, (0, settings.lanes - best.shape[1]), value=groups)
    line = line.gather(1, best[..., None, None].expand(-1, -1, 2, height))
    return line, functional.pad(score, (0, 1)).gather(1, best)


def sample_rows(x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """Lines through points (…, N), NaN where there is none, sampled at ``rows`` (R,): (…, R), NaN beyond their ends."""
    y, order = y.masked_fill(y.isnan(), FAR).sort(-1)
    x = x.gather(-1, order)
    count = y.isfinite().sum(-1, keepdim=True)
    wanted = rows.to(y).expand(*y.shape[:-1], -1).contiguous()
    last = (count - 1).clamp_min(1)
    above = torch.minimum(torch.searchsorted(y, wanted).clamp_min(1), last)
    y0, y1 = y.gather(-1, above - 1), y.gather(-1, above)
    x0, x1 = x.gather(-1, above - 1), x.gather(-1, above)
    value = x0 + (x1 - x0) * (wanted - y0) / (y1 - y0).clamp_min(1e-6)
    inside = (count >= 2) & (wanted >= y[..., :1]) & (wanted <= y.gather(-1, last))
    return value.masked_fill(~inside, float("nan"))
