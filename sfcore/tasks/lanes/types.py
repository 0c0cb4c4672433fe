"""Lanes: a batch of lane sets sampled on shared image rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sfcore.errors import InputError
from sfcore.tasks.base import Prediction

Polyline = np.ndarray  # (N, 2) float: x, y in pixels


@dataclass(frozen=True)
class Lanes(Prediction):
    """A batch of lane sets on a common grid of image rows.

    All lanes of all images share ``rows``, so matching two lanes by height is indexing, and thousands
    of perturbed lane sets are compared in a few tensor operations.

    Attributes:
        x: (B, L, R) column of each lane at each row, in pixels of ``size``; NaN where a lane is absent.
        score: (B, L) the detector's confidence in each lane, in [0, 1].
        rows: (R,) the rows in pixels of ``size``, evenly spaced, from top to bottom.
        size: (height, width) of the image that the pixels refer to.
    """

    x: Tensor
    score: Tensor
    rows: Tensor
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or self.x.shape[-1] != self.rows.shape[0]:
            raise ValueError(f"x must be (B, L, R) with R = {self.rows.shape[0]} rows, got {tuple(self.x.shape)}")
        if self.score.shape != self.x.shape[:2]:
            raise ValueError(f"score must be {tuple(self.x.shape[:2])}, got {tuple(self.score.shape)}")

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Lanes:
        """The lane sets at ``index``, still a batch."""
        index = [index] if isinstance(index, int) else index
        return replace(self, x=self.x[index], score=self.score[index])

    @property
    def valid(self) -> Tensor:
        """(B, L, R) bool: where a lane has a point."""
        return ~self.x.isnan()

    @property
    def present(self) -> Tensor:
        """(B, L) bool: which slots hold a lane, that is at least two points."""
        return self.valid.sum(-1) >= 2

    @property
    def row_step(self) -> float:
        """Distance between neighbouring rows in pixels of ``size``."""
        return float(self.rows[-1] - self.rows[0]) / max(len(self.rows) - 1, 1)

    def counts(self) -> Tensor:
        """(B,) how many lanes each image has."""
        return self.present.sum(1)

    def objects(self, index: int) -> list[Polyline]:
        """The lanes of one image: see :meth:`polylines`."""
        return self.polylines(index)

    def to(self, device: torch.device | str) -> Lanes:
        return replace(self, x=self.x.to(device), score=self.score.to(device), rows=self.rows.to(device))

    def compact(self) -> Lanes:
        """The same lanes without the slots that are empty in every image (one is kept if all are)."""
        used = self.valid.any(-1).any(0)
        used[:1] |= ~used.any()
        return replace(self, x=self.x[:, used], score=self.score[:, used])

    def resized(self, size: tuple[int, int]) -> Lanes:
        """The same lanes in the pixels of an image of another (height, width)."""
        fy, fx = size[0] / self.size[0], size[1] / self.size[1]
        return replace(self, x=self.x * fx, rows=self.rows * fy, size=size)

    def polylines(self, image: int) -> list[Polyline]:
        """The lanes of one image as (N, 2) arrays of x, y, from the bottom of the image upwards."""
        x, rows = self.x[image].detach().cpu().numpy(), self.rows.detach().cpu().numpy()
        lines = (np.stack([lane, rows], 1)[~np.isnan(lane)][::-1] for lane in x)
        return [line for line in lines if len(line) >= 2]

    def scores(self, image: int) -> list[float]:
        """The confidences of the lanes that :meth:`polylines` returns, in the same order."""
        return [float(s) for s in self.score[image][self.present[image]]]

    @classmethod
    def from_polylines(
        cls,
        images: Sequence[Sequence[Polyline]],
        rows: Tensor,
        size: tuple[int, int],
        scores: Sequence[Sequence[float]] | None = None,
    ) -> Lanes:
        """Sample polylines (x, y in pixels of ``size``) on ``rows`` by linear interpolation in y.

        A lane that turns back in height keeps, at each row, the value of the sorted interpolation;
        rows outside the polyline's own extent are absent.

        Raises:
            InputError: a polyline is not (N, 2) or has a coordinate that is not finite.
        """
        slots = max((len(lines) for lines in images), default=0)
        x = np.full((len(images), max(slots, 1), len(rows)), np.nan, np.float32)
        score = np.zeros(x.shape[:2], np.float32)
        grid = rows.detach().cpu().numpy()
        for b, lines in enumerate(images):
            for k, line in enumerate(lines):
                line = np.asarray(line, np.float64)
                if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
                    raise InputError(
                        f"lane {k} of image {b} has shape {line.shape}: it must be (points, 2) of finite "
                        "x, y pixels. Remove the missing points before."
                    )
                order = np.argsort(line[:, 1], kind="stable")
                y = line[order, 1]
                if len(y) >= 2:
                    x[b, k] = np.interp(grid, y, line[order, 0], left=np.nan, right=np.nan)
                score[b, k] = 1.0 if scores is None else scores[b][k]
        return cls(torch.from_numpy(x), torch.from_numpy(score), rows.cpu().float(), size)


def sampled(images: Sequence[Sequence[Polyline]], rows: Tensor, size: tuple[int, int]) -> Lanes:
    """The lanes of each image on some rows: see :meth:`Lanes.from_polylines`."""
    return Lanes.from_polylines(images, rows, size)


def cat(batches: Sequence[Lanes]) -> Lanes:
    """Join batches of lane sets on the same rows; narrower ones are padded with absent lanes."""
    slots = max(b.x.shape[1] for b in batches)

    def pad(t: Tensor, value: float) -> Tensor:
        extra = slots - t.shape[1]
        if not extra:
            return t
        return torch.cat([t, t.new_full((t.shape[0], extra, *t.shape[2:]), value)], 1)

    x = torch.cat([pad(b.x, float("nan")) for b in batches])
    return replace(batches[0], x=x, score=torch.cat([pad(b.score, 0.0) for b in batches]))
