"""Element maps: how much distortion each element of a head's output causes alone (the paper's figure 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Outputs
from sfcore.distortion import distortion
from sfcore.errors import InputError
from sfcore.sensitivity.noise import root_mean_square

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the network's input


@torch.no_grad()
def element_map(
    detector: Detector,
    outputs: Outputs,
    head: str,
    level: float,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    batch: int = 512,
    *,
    signs: Literal["both", "random"] = "both",
    rms: float | None = None,
) -> Tensor:
    """Lane Distortion Score caused by moving each element of ``head`` alone by ``level`` × the head's RMS.

    Args:
        outputs: full-precision outputs of one image, batch of one.
        seed: of the random signs.
        progress: called with (lane sets done, of how many).
        batch: lane sets decoded at once.
        signs: "both" averages a step up and a step down; "random" takes one of them, in half the time.
        rms: the head's RMS that the level refers to; of this image when None.

    Returns:
        A tensor of the head's shape without the batch, on the outputs' device.

    Raises:
        InputError: no such head, or outputs of several images.
    """
    detector.head(head)
    clean = outputs[head]
    if len(clean) != 1:
        raise InputError(f"outputs of {len(clean)} images: an element map is of one image. Give one image's outputs.")
    step = level * (root_mean_square(clean) if rms is None else rms)
    elements = torch.arange(clean.numel(), device=clean.device)
    if signs == "both":
        elements, steps = elements.repeat(2), torch.cat([elements * 0 + step, elements * 0 - step])
    else:
        generator = torch.Generator(clean.device).manual_seed(seed)
        up = torch.randint(2, elements.shape, generator=generator, device=clean.device).bool()
        steps = torch.where(up, step, -step)
    total = torch.zeros(clean.numel(), device=clean.device)
    reference = detector.decode(outputs).compact()
    for start in range(0, len(elements), batch):
        chosen = elements[start : start + batch]
        moved = _move_one_each(outputs, head, chosen, steps[start : start + batch])
        total.index_add_(0, chosen, distortion(reference, detector.decode(moved).compact()).score)
        if progress:
            progress(min(start + batch, len(elements)), len(elements))
    return (total * clean.numel() / len(elements)).view(clean.shape[1:])


def _move_one_each(outputs: Outputs, head: str, elements: Tensor, steps: Tensor) -> Outputs:
    """One set of outputs per entry of ``elements``, in which that element of ``head`` is moved by its step."""
    count = len(elements)
    moved = {name: value.expand(count, *value.shape[1:]) for name, value in outputs.items()}
    changed = outputs[head].flatten(1).repeat(count, 1)
    changed[torch.arange(count, device=changed.device), elements] += steps.to(changed.dtype)
    return {**moved, head: changed.view(count, *outputs[head].shape[1:])}


def foreground_share(sensitivity: Tensor, confidence: Tensor, threshold: float = 0.5) -> float:
    """Share of the total sensitivity that falls on the foreground: elements with a confidence over ``threshold``.

    Args:
        sensitivity: an element map.
        confidence: broadcastable to it (``detector.confidence(outputs, head)[0]``).

    Returns:
        0 to 1; 0 where nothing is sensitive.
    """
    total = float(sensitivity.sum())
    return float((sensitivity * (confidence > threshold)).sum()) / total if total > 0 else 0.0


def box_mask(head: Head, shape: torch.Size, box: Box) -> Tensor:
    """(1, 1, H, W) bool: the cells of a grid head whose centres lie in ``box``; a mask for ``perturb``.

    Args:
        shape: (..., H, W) of the head's output.

    Raises:
        InputError: the head is no grid.
    """
    if head.layout != "grid" or head.stride is None:
        raise InputError(f"head {head.name!r} is no grid: choose its elements with cell_mask")
    height, width = shape[-2:]
    y = (torch.arange(height) + 0.5) * head.stride
    x = (torch.arange(width) + 0.5) * head.stride
    rows, columns = (y >= box[1]) & (y <= box[3]), (x >= box[0]) & (x <= box[2])
    return (rows[:, None] & columns[None, :])[None, None]


def cell_mask(head: Head, shape: torch.Size, cells: Iterable[tuple[int, ...]]) -> Tensor:
    """Bool mask over one image's output of ``head``, (1, *shape): all channels of the given cells.

    Args:
        shape: of the head's output without the batch.
        cells: (row, column) of a grid, (query,) of queries, () for the whole of an image head.

    Raises:
        InputError: a cell lies outside the output.
    """
    places = shape[1:] if head.layout == "grid" else shape[:-1]
    mask = torch.zeros(tuple(places), dtype=torch.bool)
    for cell in cells:
        if len(cell) != len(places) or any(not 0 <= c < n for c, n in zip(cell, places, strict=True)):
            raise InputError(f"cell {cell} of head {head.name!r}: each index must lie within {tuple(places)}")
        mask[cell] = True
    mask = mask.unsqueeze(0) if head.layout == "grid" else mask.unsqueeze(-1)
    return mask.expand(shape).unsqueeze(0)
