"""From LaneATT's proposals to lanes: confident ones, those that repeat a better one dropped, the rows where they exist.

The published kernel for suppression (``nms_kernel.cu``) and ``proposals_to_pred`` as batched tensor operations.
Proposals are kept as one list for all images, since few of them are confident. Rows count from the bottom.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Choice:
    """Which proposals become lanes.

    Attributes:
        confidence: a lane has more.
        near: mean sideways distance in input pixels over the rows that two proposals share; nearer ones are the same.
        lanes: most lanes of one image, the most confident.
    """

    confidence: float
    near: float
    lanes: int


@dataclass(frozen=True)
class Proposals:
    """N proposals of a batch, image by image, the most confident first.

    Attributes:
        image: (N,) index of each one's image.
        score: (N,) its confidence.
        start: (N,) long, the row where its anchor starts.
        length: (N,) its number of rows.
        x: (N, S) its columns in input pixels.
    """

    image: Tensor
    score: Tensor
    start: Tensor
    length: Tensor
    x: Tensor

    def __getitem__(self, index: Tensor) -> Proposals:
        values = (self.image, self.score, self.start, self.length, self.x)
        return Proposals(*(value.index_select(0, index) for value in values))


def best(proposals: Proposals, choice: Choice) -> tuple[Proposals, Tensor]:
    """Greedy suppression: the most confident of each image is kept, what is near it dropped, and so on.

    Returns:
        What is kept, and (K,) the place of each among those of its image.
    """
    image, mine = proposals.image, torch.arange(len(proposals.image), device=proposals.image.device)
    left, kept, place = mine, [mine[:0]], [mine[:0]]
    for turn in range(choice.lanes):
        _, group, number = image[left].unique_consecutive(return_inverse=True, return_counts=True)
        first = left[number.cumsum(0) - number]
        leader = first[group]
        kept.append(first)
        place.append(torch.full_like(first, turn))
        left = left[(left != leader) & ~same(proposals[left], proposals[leader], choice.near)]
        if not len(left):
            break
    return proposals[torch.cat(kept)], torch.cat(place)


def same(a: Proposals, b: Proposals, near: float) -> Tensor:
    """(N,) bool: whether each proposal of ``a`` lies nearer than ``near`` to its partner in ``b`` (``devIoU``)."""
    rows = torch.arange(a.x.shape[1], dtype=torch.int16, device=a.x.device)  # short: many are compared
    first = torch.maximum(a.start, b.start)
    last = torch.minimum(_end(a), _end(b)).clamp_max(len(rows) - 1)
    beyond = (rows < first.short().unsqueeze(1)) | (rows > last.short().unsqueeze(1))
    distance = (a.x - b.x).abs_().masked_fill_(beyond, 0.0).sum(1)
    return (last >= first) & (distance < near * (last - first + 1))


def _end(proposals: Proposals) -> Tensor:
    """The last row as the kernel rounds it: half up, towards zero in sum."""
    rest = proposals.length - 1
    return (proposals.start + rest + 0.5 - (rest < 0).to(rest)).trunc().long()


def visible(proposals: Proposals, width: int) -> Tensor:
    """(N, S) bool: the rows that show a proposal's lane.

    Its own rows, and those below its start down to where it leaves the image.
    """
    rows = torch.arange(proposals.x.shape[1], device=proposals.x.device)
    start, x = proposals.start.unsqueeze(1), proposals.x
    outside = (x < 0) | (x > width)
    leaves = torch.where(outside & (rows < start), rows, -1).amax(1, keepdim=True)
    end = start + proposals.length.round().long().unsqueeze(1) - 1
    # A negative length can end a lane below the image. Published code counts that row from the top, as Python does.
    end = torch.where(end < -1, end + len(rows), end)
    return (rows > leaves) & (rows <= end) & (x >= 0)
