"""How far lanes are off on the road, in metres: what a driver notices, which pixels and F1 do not tell.

The road is taken as flat and the camera as upright above it. A pixel (x, y) looks along ``u = (x - cx) / f``,
``v = (y - cy) / f``; with the camera h metres up and pitched down by p it meets the road at

    ahead = h · (cos p - v · sin p) / (sin p + v · cos p),   lateral = u · h / (sin p + v · cos p)

and nowhere where the denominator is not positive: that is the horizon and all above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfcore.datasets.scenes.geometry import Camera
from sfcore.errors import InputError
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import nearest_pairs

DISTANCES = tuple(float(metres) for metres in range(5, 55, 5))


@dataclass(frozen=True)
class LateralDeviation:
    """Distances across the road between paired lanes, in metres; NaN where no pair was seen.

    Attributes:
        mean, p95: over all pairs and distances, the 95th percentile being that of the single values.
        distances: metres ahead of the camera.
        means, p95s, counts: the same at each distance, and of how many pairs.
    """

    mean: float
    p95: float
    distances: tuple[float, ...]
    means: tuple[float, ...]
    p95s: tuple[float, ...]
    counts: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, where an undefined value is null."""

        def known(value: Any) -> Any:
            if isinstance(value, tuple):
                return [known(each) for each in value]
            return None if math.isnan(value) else value

        return {name: known(value) for name, value in asdict(self).items()}


def road_camera(
    size: tuple[int, int],
    height: float,
    pitch: float = 0.0,
    focal: float | None = None,
    field_of_view: float | None = None,
) -> Camera:
    """A camera whose axis goes through the middle of its image.

    Args:
        size: (height, width) of the image in pixels.
        height: metres above the road.
        pitch: degrees, positive looks down.
        focal: focal length in pixels, or instead of it
        field_of_view: the vertical one, in degrees.

    Raises:
        InputError: a value is impossible, or not one of focal and field_of_view was given.
    """
    if not height > 0 or not abs(pitch) < 90:
        raise InputError(f"a camera {height} m up, pitched by {pitch}°: give a height over 0 m, a pitch within 90°")
    if (focal is None) == (field_of_view is None):
        raise InputError("give either the focal length in pixels or the vertical field of view in degrees")
    if field_of_view is not None:
        if not 0 < field_of_view < 180:
            raise InputError(f"a field of view of {field_of_view}°: it must be between 0 and 180°")
        focal = size[0] / 2 / math.tan(math.radians(field_of_view) / 2)
    if focal is None or not focal > 0:
        raise InputError(f"a focal length of {focal} px: it must be over 0")
    return Camera(focal, (size[1] - 1) / 2, (size[0] - 1) / 2, height, math.radians(pitch))


def to_road(pixels: Tensor, camera: Camera) -> Tensor:
    """Where pixels (..., 2) x, y meet the road: (..., 2) metres right of the camera and ahead of it; else NaN."""
    u, v = (pixels[..., 0] - camera.cx) / camera.focal, (pixels[..., 1] - camera.cy) / camera.focal
    down = math.sin(camera.pitch) + v * math.cos(camera.pitch)
    down = torch.where(down > 1e-9, down, torch.nan)
    ahead = (math.cos(camera.pitch) - v * math.sin(camera.pitch)) / down
    return camera.height * torch.stack([u / down, ahead], -1)


def lateral_deviation(
    reference: Lanes, other: Lanes, camera: Camera, distances: Sequence[float] = DISTANCES
) -> LateralDeviation:
    """Compare two lane sets of the same images on the road, at fixed distances ahead as far as both are seen.

    Lanes pair by nearness alone, as for the shift in pixels (:func:`nearest_pairs`): one that went far counts with
    all of its distance.

    Args:
        reference, other: B lane sets each, on the same rows, in pixels of the camera's image.
        distances: metres ahead.

    Raises:
        InputError: a distance is not in front of the camera.
    """
    if not all(distance > 0 for distance in distances):
        raise InputError(f"distances of {tuple(distances)} m: all must be over 0, in front of the camera")
    pairs = nearest_pairs(reference, other)
    left, right = (_at_distances(lanes, camera, distances) for lanes in (reference, other))
    right = right.gather(1, pairs.clamp_min(0).unsqueeze(-1).expand(-1, -1, len(distances)))
    apart = (left - right).abs()[pairs >= 0]  # (pairs, D)
    each = [_figures(column) for column in apart.T]
    means, p95s, counts = zip(*each, strict=True) if each else ((), (), ())
    mean, p95, _ = _figures(apart)
    return LateralDeviation(mean, p95, tuple(distances), means, p95s, counts)


def _at_distances(lanes: Lanes, camera: Camera, distances: Sequence[float]) -> Tensor:
    """(B, L, D) metres right of the camera of each lane at each distance; NaN where it is not seen.

    Interpolated in the image: what is straight on the road is straight there.
    """
    rows = torch.from_numpy(camera.row(np.zeros(len(distances)), np.array(distances, np.float64)))
    place = (rows - lanes.rows[0].double()) / lanes.row_step
    seen = (place >= 0) & (place <= len(lanes.rows) - 1)
    place = place.clamp(0, len(lanes.rows) - 1)
    above, below = (lanes.x[..., index.long()].double() for index in (place.floor(), place.ceil()))
    x = above + (below - above) * place.frac()
    pixels = torch.stack([torch.where(seen, x, torch.nan), rows.expand_as(x)], -1)
    return to_road(pixels, camera)[..., 0]


def _figures(values: Tensor) -> tuple[float, float, int]:
    """Mean, 95th percentile and number of what is no NaN."""
    known = values[~values.isnan()]
    if not len(known):
        return math.nan, math.nan, 0
    return float(known.mean()), float(np.quantile(known.numpy(), 0.95)), len(known)
