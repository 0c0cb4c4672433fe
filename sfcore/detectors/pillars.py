"""Points to pillars: what stands on each square of the ground, as a map (Lang et al., CVPR 2019, section 2.1).

The published codes cut a sweep into lists of pillars before the network. Here every point finds its pillar inside the
network, by scattering, so that the network's input is the sweep itself and all shapes are fixed. Layers on points are
1×1 convolutions over (B, C, 1, P).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.inputs.points import PointCloud

DECORATIONS = 6  # numbers that a point is given beside its own: from the mean of its pillar's points, from its centre


class PointLayer(nn.Module):
    """A layer on points; a norm of the published settings."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class Pillars(nn.Module):
    """Features of each pillar: the largest of its points' features, 0 where there is no point.

    The first layers have half the width and give each point its pillar's largest features beside its own.

    A point comes with 10 numbers: x, y, z, reflectance; x, y, z from the mean of its pillar's points; x, y, z from the
    pillar's centre. Each is given in shares of how far it can reach (ours), so that they can share a quantizer's step;
    metres, as published, are the same function of other weights: :attr:`units`.

    Args:
        cloud: the range, and the pillars on the ground.
        filters: width of each layer's output.

    Attributes:
        units: (10,) what 1 of each number stands for, in metres; of the reflectance, its own.
    """

    units: Tensor
    low: Tensor

    def __init__(self, cloud: PointCloud, filters: tuple[int, ...]) -> None:
        super().__init__()
        self.cloud = cloud
        (x_min, y_min, x_max, y_max), (z_min, z_max), side = cloud.extent, cloud.heights, cloud.pillar
        reach = [max(abs(low), abs(high)) for low, high in ((x_min, x_max), (y_min, y_max), (z_min, z_max))]
        half = [side / 2, side / 2, (z_max - z_min) / 2]
        self.register_buffer("units", torch.tensor([*reach, 1.0, *half, *half]), persistent=False)
        self.register_buffer("low", torch.tensor([x_min, y_min, z_min]).reshape(3, 1), persistent=False)
        widths = [*(n // 2 for n in filters[:-1]), filters[-1]]
        inputs = [len(self.units), *filters[:-1]]
        self.pfn_layers = nn.ModuleList(PointLayer(n, width) for n, width in zip(inputs, widths, strict=True))

    def forward(self, points: Tensor) -> Tensor:
        """(B, 4, 1, P), NaN where there is no point, to (B, C, rows, columns)."""
        points, cell = self.placed(points.squeeze(2))
        x = self.decorated(points, cell)
        x, cell = self.completed(x.unsqueeze(2), cell)
        *first, last = self.pfn_layers
        for layer in first:
            x = layer(x)
            x = torch.cat([x, _of_cell(self.largest(x, cell), cell)], 1)
        rows, columns = self.cloud.size
        return self.largest(last(x), cell)[..., : rows * columns].unflatten(-1, (rows, columns)).squeeze(2)

    def placed(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 4, P) points, zero where there is none in range, and (B, P) long, their pillars counted row by row.

        What is out of range shares one pillar more, the last.
        """
        inside = self.cloud.inside(points)
        points = points.where(inside.unsqueeze(1), 0.0)
        column, row = ((points[:, :2] - self.low[:2]) / self.cloud.pillar).long().unbind(1)
        rows, columns = self.cloud.size
        # A quotient may be rounded up to the number of columns.
        cell = row.clamp_max(rows - 1) * columns + column.clamp_max(columns - 1)
        return points, cell.where(inside, rows * columns)

    def decorated(self, points: Tensor, cell: Tensor) -> Tensor:
        """(B, 10, P) the numbers of each point in :attr:`units`; zero where there is none."""
        rows, columns = self.cloud.size
        index = torch.stack([cell % columns, cell // columns, torch.zeros_like(cell)], 1)
        sides = torch.stack([2 * self.units[7], 2 * self.units[8], 2 * self.units[9]]).reshape(3, 1)
        offset = points[:, :3] - ((index + 0.5) * sides + self.low)  # from the pillar's centre
        count = self._total(torch.ones_like(points[:, :1]), cell)
        mean = self._total(offset, cell) / count.clamp_min(1)
        x = torch.cat([points, offset - _of_cell(mean, cell), offset], 1) / self.units.unsqueeze(1)
        return x.where((cell < rows * columns).unsqueeze(1), 0.0)

    def completed(self, x: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Points and their pillars as the layers get them: as they are."""
        return x, cell

    def largest(self, x: Tensor, cell: Tensor) -> Tensor:
        """(B, C, 1, cells) the largest features of each pillar's points; they are not negative."""
        empty = x.new_zeros(*x.shape[:3], self._cells())
        return empty.scatter_reduce(3, _spread(cell, x), x, "amax")

    def _total(self, x: Tensor, cell: Tensor) -> Tensor:
        """(B, C, cells) the sum of (B, C, P) over each pillar's points."""
        return x.new_zeros(*x.shape[:2], self._cells()).scatter_add(2, _spread(cell, x), x)

    def _cells(self) -> int:
        rows, columns = self.cloud.size
        return rows * columns + 1


class HardPillars(Pillars):
    """Pillars of so many points at most, as the published networks were trained on: the first of a sweep.

    In a pillar of fewer, the published lists have zeros in place of further points, and the layers and the maximum
    take these for points. Here each such pillar has one of them.

    Args:
        most: points of a pillar.
    """

    def __init__(self, cloud: PointCloud, filters: tuple[int, ...], most: int) -> None:
        super().__init__(cloud, filters)
        self.most = most

    def placed(self, points: Tensor) -> tuple[Tensor, Tensor]:
        points, cell = super().placed(points)
        return points, cell.masked_fill(self.rank(points, cell) >= self.most, self._cells() - 1)

    def rank(self, points: Tensor, cell: Tensor) -> Tensor:
        """(B, P) how many points before each one have the same pillar."""
        place = torch.arange(cell.shape[1], device=cell.device)
        key = (cell * cell.shape[1] + place).sort(1).values  # pillar by pillar, in each in the order of the sweep
        found, order = key // cell.shape[1], key % cell.shape[1]
        count = self._total(torch.ones_like(points[:, :1]), cell).squeeze(1).long()
        start = count.cumsum(1) - count
        return torch.zeros_like(cell).scatter(1, order, place - start.gather(1, found))

    def completed(self, x: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        count = self._total(torch.ones_like(x[:, :1, 0]), cell).squeeze(1)
        own = torch.arange(self._cells(), device=cell.device).expand_as(count)
        added = own.where((count > 0) & (count < self.most), self._cells() - 1)
        zeros = x.new_zeros(*x.shape[:3], self._cells())
        return torch.cat([x, zeros], 3), torch.cat([cell, added], 1)


def _spread(cell: Tensor, x: Tensor) -> Tensor:
    """(B, P) pillars as an index of the last axis of (B, …, P)."""
    return cell.reshape(len(cell), *[1] * (x.ndim - 2), -1).expand_as(x)


def _of_cell(values: Tensor, cell: Tensor) -> Tensor:
    """(B, …, P) what (B, …, cells) says of each point's pillar."""
    index = cell.reshape(len(cell), *[1] * (values.ndim - 2), -1)
    return values.gather(-1, index.expand(*values.shape[:-1], -1))
