"""The image rows that lanes are sampled on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfcore.tasks.lanes.types import Lanes


def even_rows(height: int, step: float, start: float = 0.0) -> Tensor:
    """Rows from ``start`` to the bottom of an image of ``height`` px, the last on its last pixel row."""
    count = int((height - 1 - start) / step) + 1
    return (height - 1) - step * torch.arange(count - 1, -1, -1, dtype=torch.float32)


def off_image_to_nan(lanes: Lanes) -> Lanes:
    """Drop points left or right of the image."""
    inside = (lanes.x >= 0) & (lanes.x <= lanes.size[1] - 1)
    return replace(lanes, x=torch.where(inside, lanes.x, torch.full_like(lanes.x, float("nan"))))
