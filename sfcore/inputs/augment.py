"""Augmentation of preprocessed images for tuning: the teacher sees the augmented image too, so no label moves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.devices import sent


def augment(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Flip, scale, shift, tilt, brightness, contrast and colour, drawn per image.

    Args:
        images: (B, 3, H, W), preprocessed.
        generator: on the CPU; decides everything.
        strength: 1 for the usual ranges, 0 for none.

    Returns:
        (B, 3, H, W), a new tensor.
    """
    if strength <= 0:
        return images.clone()
    count = len(images)

    def draw(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low) * strength

    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    zoom = torch.exp(draw(-0.35, 0.25))
    tilt = draw(-0.08, 0.08)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2] = flip * zoom, tilt, draw(-0.25, 0.25)
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2] = -tilt * 0.5, zoom * torch.exp(draw(-0.15, 0.15)), draw(-0.2, 0.2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, sent(grid, images.device), padding_mode="reflection", align_corners=False)
    gain = torch.exp(draw(-0.5, 0.4)).reshape(-1, 1, 1, 1)
    shift = draw(-0.6, 0.4).reshape(-1, 1, 1, 1)
    tint = torch.randn(count, 3, 1, 1, generator=generator) * 0.08 * strength
    return moved * sent(gain, images.device) + sent(shift + tint, images.device)
