"""Element maps: how much distortion each element of a head's output causes alone (the paper's figure 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Outputs
from sfcore.errors import InputError
from sfcore.sensitivity.noise import root_mean_square

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the network's input
AT_ONCE = 2**22  # values of the head copied for one batch of decodes, so that large heads fit in memory


@dataclass(frozen=True)
class Grain:
    """How fine an element map is.

    Attributes:
        side: blocks of side × side cells of a grid head are moved together, with all their channels; None: each
            element alone.
        queries: only so many queries of a query head are measured, the most confident; None: all.
    """

    side: int | None = None
    queries: int | None = None

    @classmethod
    def within(cls, head: Head, shape: torch.Size, most: int) -> Grain:
        """The finest with at most ``most`` moves in one direction, and at least one.

        Args:
            shape: of the head's output without the batch.
        """
        if shape.numel() <= most or head.layout == "image":
            return cls()
        if head.layout == "query":
            return cls(queries=max(most // shape[-1], 1))
        return cls(next(side for side in count(1) if -(-shape[1] // side) * -(-shape[2] // side) <= max(most, 1)))

    def members(self, shape: torch.Size, confidence: Tensor) -> Tensor:
        """(U, M) long: the elements, counted in order, that each move takes; a block cut off at the edge repeats some.

        Args:
            shape: of the head's output without the batch.
            confidence: of one image, broadcastable to it.
        """
        index = torch.arange(shape.numel(), device=confidence.device).view(shape)
        if self.queries is not None:
            best = torch.broadcast_to(confidence, shape).amax(-1).argsort(descending=True, stable=True)
            return index[best[: self.queries]].view(-1, 1)
        if self.side is None:
            return index.view(-1, 1)
        for axis in (1, 2):
            whole = -(-shape[axis] // self.side) * self.side
            index = index.index_select(axis, torch.arange(whole, device=index.device).clamp_max(shape[axis] - 1))
        blocks = index.unflatten(2, (-1, self.side)).unflatten(1, (-1, self.side))
        return blocks.permute(1, 3, 0, 2, 4).flatten(2).flatten(0, 1)


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
    grain: Grain = Grain(),
    rms: float | None = None,
) -> Tensor:
    """Distortion score caused by moving each element of ``head`` alone by ``level`` × the head's RMS.

    Each is moved up and down and the two scores averaged; the elements of a block move together, each up or down
    at random, and then the other way.

    Args:
        outputs: full-precision outputs of one image, batch of one.
        seed: of the directions within a block.
        progress: called with (predictions done, of how many).
        batch: most predictions decoded at once.
        rms: the head's RMS that the level refers to; of this image when None.

    Returns:
        A tensor of the head's shape without the batch, on the outputs' device; NaN for queries not measured. In
        blocks (1, H, W): each cell holds what its block causes.

    Raises:
        InputError: no such head, or outputs of several images.
    """
    detector.head(head)
    clean = outputs[head]
    if len(clean) != 1:
        raise InputError(f"outputs of {len(clean)} images: an element map is of one image. Give one image's outputs.")
    members = grain.members(clean.shape[1:], detector.confidence(outputs, head)[0])
    steps = torch.full_like(clean.flatten(), level * (root_mean_square(clean) if rms is None else rms))
    if grain.side is not None:
        generator = torch.Generator(steps.device).manual_seed(seed)
        steps *= torch.randint(2, steps.shape, generator=generator, device=steps.device) * 2 - 1
    total, moves = torch.zeros(len(members), device=clean.device), 2 * len(members)
    reference = detector.decode(outputs).compact()
    batch = max(1, min(batch, AT_ONCE // clean.numel()))
    for start in range(0, moves, batch):
        chosen = torch.arange(start, min(start + batch, moves), device=clean.device)
        signs, unit = 1 - chosen % 2 * 2, chosen // 2
        moved = _moved(outputs, head, members[unit], signs[:, None] * steps[members[unit]])
        total.index_add_(0, unit, detector.task.distortion(reference, detector.decode(moved).compact()).score / 2)
        if progress:
            progress(int(chosen[-1]) + 1, moves)
    return _spread(total, members, grain, clean.shape[1:])


def _moved(outputs: Outputs, head: str, elements: Tensor, steps: Tensor) -> Outputs:
    """One set of outputs per row of ``elements``, in which those of ``head`` are moved by their steps, (N, M)."""
    moved = {name: value.expand(len(elements), *value.shape[1:]) for name, value in outputs.items()}
    clean = outputs[head].flatten()
    changed = clean.repeat(len(elements), 1).scatter_(1, elements, clean[elements] + steps)
    return {**moved, head: changed.view(len(elements), *outputs[head].shape[1:])}


def _spread(scores: Tensor, members: Tensor, grain: Grain, shape: torch.Size) -> Tensor:
    """The score of each move given to all that it took; channels of a block hold the same, so one is returned."""
    found = torch.full((shape.numel(),), torch.nan, device=scores.device)
    found = found.scatter_(0, members.flatten(), scores.repeat_interleave(members.shape[1])).view(shape)
    return found if grain.side is None else found[:1]


def foreground_share(sensitivity: Tensor, confidence: Tensor, threshold: float = 0.5) -> float:
    """Share of the total sensitivity that falls on the foreground: elements with a confidence over ``threshold``.

    Args:
        sensitivity: an element map; what was not measured (NaN) counts as 0.
        confidence: broadcastable to it, or it to that (``detector.confidence(outputs, head)[0]``).

    Returns:
        0 to 1; 0 where nothing is sensitive.
    """
    sensitivity, confidence = torch.broadcast_tensors(sensitivity.nan_to_num(0.0), confidence)
    total = float(sensitivity.sum())
    return float((sensitivity * (confidence > threshold)).sum()) / total if total > 0 else 0.0


def foreground_area(shape: torch.Size, confidence: Tensor, threshold: float = 0.5) -> float:
    """Share of the elements that are foreground: the :func:`foreground_share` of a head that is sensitive everywhere.

    Args:
        shape: of the head's output without the batch.
        confidence: broadcastable to it.
    """
    return float((torch.broadcast_to(confidence, shape) > threshold).float().mean())


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
