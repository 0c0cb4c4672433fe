"""Point clouds: cut to a range around the sensor and padded to a fixed number of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sfcore.datasets.lidar.files import FORMATS, read_points
from sfcore.datasets.source import source_of
from sfcore.devices import constant, sent
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.inputs.birds_eye import Extent, birds_eye, canvas_size

CHANNELS = 4  # x, y, z, reflectance


@dataclass(frozen=True)
class PointCloud(InputSpec):
    """How a sweep becomes the network's input.

    A frame is (N, 4) float32: x ahead, y left, z up in metres of the sensor's frame, reflectance in [0, 1]; stacked
    and normalised it is (4, 1, most) float32, NaN where there is no point. The plane of heads is the ground: a row of
    pillars is of one y and a column of one x, both growing from ``extent``'s least.

    Attributes:
        extent: x_min, y_min, x_max, y_max in metres; points outside are cut.
        heights: z_min, z_max in metres; points outside are cut.
        pillar: side of a pillar's square on the ground, in metres.
        most: points that a sweep keeps; of more, evenly many are left out.
        size: rows and columns of pillars.
    """

    kind: ClassVar[str] = "points"
    noun: ClassVar[str] = "sweep"
    samples: ClassVar[str] = "sweeps"
    rendered: ClassVar[str] = "sweeps"
    formats: ClassVar[tuple[str, ...]] = FORMATS

    extent: Extent
    heights: tuple[float, float]
    pillar: float
    most: int = 65_536
    size: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        x_min, y_min, x_max, y_max = self.extent
        sides = (y_max - y_min) / self.pillar, (x_max - x_min) / self.pillar
        if min(sides) < 1 or any(abs(side - round(side)) > 1e-3 for side in sides):
            raise ValueError(f"the extent {self.extent} must be a whole number of pillars of {self.pillar} m")
        object.__setattr__(self, "size", (round(sides[0]), round(sides[1])))

    def read(self, path: Path) -> np.ndarray:
        """(N, 4) float32. Raises InputError: see :func:`sfcore.datasets.lidar.files.read_points`; or it is out of
        range."""
        source = source_of(path)
        frame = read_points(path) if source.file(path) == path else source.read(path)
        self._cut(frame, str(path))
        return frame

    def stack(self, frames: Sequence[np.ndarray]) -> Tensor:
        """Sweeps to (B, 4, 1, most) float32, those points that are in range first, the rest NaN.

        Raises:
            InputError: a sweep is not (N, 4) numbers, or has no point in range.
        """
        return torch.stack([self._padded(self._cut(frame)) for frame in frames])

    def normalize(self, stacked: Tensor) -> Tensor:
        return stacked.float()

    def example(self, count: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """(count, 4, 1, most) float32: points anywhere in range, and an eighth of padding; without a generator zero."""
        if generator is None:
            return torch.zeros(count, CHANNELS, 1, self.most)
        low, high = self._bounds(torch.device("cpu"))
        share = torch.rand(count, CHANNELS, 1, self.most, generator=generator)
        points = low.reshape(-1, 1, 1) + share * (high - low).reshape(-1, 1, 1)
        points[..., self.most - self.most // 8 :] = math.nan
        return points

    def augment(self, inputs: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
        """Mirrored left to right, turned up to 45° and scaled up to 5 %; what leaves the range becomes padding."""
        if strength <= 0:
            return inputs.clone()
        count = len(inputs)
        flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        turn = (torch.rand(count, generator=generator) * 2 - 1) * strength * math.pi / 4
        scale = 1 + (torch.rand(count, generator=generator) * 2 - 1) * strength * 0.05
        cos, sin, flip, scale = (
            sent(t, inputs.device).reshape(-1, 1, 1) for t in (turn.cos(), turn.sin(), flip, scale)
        )
        x, y, z, light = inputs.unbind(1)
        y = y * flip
        moved = torch.stack([(x * cos - y * sin) * scale, (x * sin + y * cos) * scale, z * scale, light], 1)
        return moved.where(self.inside(moved).unsqueeze(1), math.nan)

    def inside(self, points: Tensor) -> Tensor:
        """(B, …) bool of (B, 4, …): which points are in range; padding is not."""
        low, high = (bound.reshape(-1, *[1] * (points.ndim - 2))[:3] for bound in self._bounds(points.device))
        return ((points[:, :3] >= low) & (points[:, :3] < high)).all(1)

    def size_of(self, frame: np.ndarray) -> tuple[int, int]:
        """(height, width) of the picture from above, whatever the frame is."""
        return canvas_size(self.extent)

    def canvas(self, frame: np.ndarray) -> Image:
        """The sweep from above, x to the right and y up."""
        return birds_eye(frame, self.extent, self.heights)

    def laid(self, plane: np.ndarray) -> np.ndarray:
        """Rows grow with y, and y goes up on the canvas."""
        return plane[::-1]

    def described(self) -> str:
        return f"{self.size[1]} × {self.size[0]} pillars"

    def _bounds(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(4,) the least and the largest number of each channel."""
        x_min, y_min, x_max, y_max = self.extent
        z_min, z_max = self.heights
        return constant((x_min, y_min, z_min, 0.0), device), constant((x_max, y_max, z_max, 1.0), device)

    def _cut(self, frame: np.ndarray, what: str = "a sweep") -> np.ndarray:
        """The points in range, (N, 4) float32."""
        if not (isinstance(frame, np.ndarray) and frame.ndim == 2 and frame.shape[1] == 4 and frame.dtype.kind == "f"):
            found = f"shape {frame.shape} and type {frame.dtype}" if isinstance(frame, np.ndarray) else "no numbers"
            raise InputError(f"{what} has {found}: it must be (points, 4) float32, x, y, z and reflectance")
        low, high = (bound.numpy()[:3] for bound in self._bounds(torch.device("cpu")))
        kept = frame[((frame[:, :3] >= low) & (frame[:, :3] < high)).all(1) & np.isfinite(frame[:, 3])]
        if not len(kept):
            x_min, y_min, x_max, y_max = self.extent
            raise InputError(
                f"{what} has none of its {len(frame):,} points in range, x {x_min:g} to {x_max:g}, y {y_min:g} to "
                f"{y_max:g}, z {self.heights[0]:g} to {self.heights[1]:g} m of the sensor: check that it is in metres, "
                "x ahead and z up, or choose another detector"
            )
        return kept.astype(np.float32)

    def _padded(self, points: np.ndarray) -> Tensor:
        """(4, 1, most)"""
        if len(points) > self.most:
            points = points[np.arange(self.most) * len(points) // self.most]
        padded = np.full((CHANNELS, 1, self.most), np.nan, np.float32)
        padded[:, 0, : len(points)] = points.T
        return torch.from_numpy(padded)
