"""How far boxes have moved: what boxes in images and boxes in space share.

    score = sum over pairs of (min(shift, v) + min(stretch, v))  +  v · (boxes without a partner, of either set)

Boxes of one class pair by their IoU, so that it is largest in sum; what shift and stretch are, and v, the task says.
Each counts v at most: a box that moved is never further from right than one that is lost and one that is invented, so
the score does not fall where noise grows and boxes lose their partners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.tasks.base import Agreement, Distortion
from sfcore.tasks.boxes import PaddedBoxes
from sfcore.tasks.counts import Counts
from sfcore.tasks.pairing import pair, unpaired

MIN_IOU = 0.1  # boxes that overlap less are not one that moved
AGREED_IOU = 0.5  # from which a box counts as found

Displacement = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # of boxes (B, L, D), two times: shift, stretch (B, L)


@dataclass(frozen=True)
class BoxDistortion(Distortion):
    """The score of a batch of box sets against their references, box by box, in the task's unit.

    Attributes:
        shift, stretch, misalignment: (B, La) parts of each reference box's score.
        extra: (B, Lb) misalignment of boxes that pair with none of the reference.
        distance: (B, La) by which the centre of each paired box moved, however far; 0 for others.
        pairs: (B, La) index of the box paired with each reference box, -1 for none.
    """

    shift: Tensor
    stretch: Tensor
    misalignment: Tensor
    extra: Tensor
    distance: Tensor
    pairs: Tensor

    def parts(self) -> dict[str, Tensor]:
        """(B,) of each part per frame; they sum to the score exactly."""
        lost = self.misalignment.sum(-1) + self.extra.sum(-1)
        return {"shift": self.shift.sum(-1), "stretch": self.stretch.sum(-1), "misalignment": lost}


def same_class(reference: PaddedBoxes, other: PaddedBoxes, overlap: Tensor) -> Tensor:
    """(B, La, Lb) the IoU of boxes of one class, 0 where classes differ or a slot is empty.

    Args:
        reference: of B frames, or of one that all of ``other`` are compared with.
        overlap: (B, La, Lb) IoU whatever the classes; of empty slots anything.

    Raises:
        ValueError: the two know other classes.
    """
    if reference.names != other.names:
        raise ValueError(f"boxes of the classes {reference.names} cannot be compared with those of {other.names}")
    both = reference.present.unsqueeze(2) & other.present.unsqueeze(1)
    same = reference.label.unsqueeze(2) == other.label.unsqueeze(1)
    return torch.where(both & same, overlap, torch.zeros_like(overlap))


def distortion(
    reference: PaddedBoxes, other: PaddedBoxes, overlap: Tensor, displacement: Displacement, penalty: float
) -> BoxDistortion:
    """Score ``other`` against ``reference``, frame by frame.

    Args:
        reference, overlap: see :func:`same_class`.
        displacement: shift and stretch of paired boxes, in the task's unit.
        penalty: v, what a box without a partner counts as, and shift and stretch at most.
    """
    pairs = pair(same_class(reference, other, overlap), MIN_IOU)
    lost, partners = pairs < 0, pairs.clamp_min(0)
    partner = other.box.gather(1, partners.unsqueeze(-1).expand(-1, -1, other.box.shape[-1]))
    distance, stretch = (part.masked_fill(lost, 0.0) for part in displacement(reference.box, partner))
    shift, stretch = distance.clamp_max(penalty), stretch.clamp_max(penalty)
    extra = other.present & unpaired(pairs, other.box.shape[1])
    return BoxDistortion(shift, stretch, (reference.present & lost) * penalty, extra * penalty, distance, pairs)


def agreement(
    reference: PaddedBoxes, other: PaddedBoxes, overlap: Tensor, moved: BoxDistortion, unit: str
) -> Agreement:
    """Compare ``other`` with ``reference``, of as many frames: a box is found from an IoU of 0.5 and in its class.

    The shift is the mean over the pairs of ``moved``: a box that moved far counts with its whole distance.
    """
    tp = int((pair(same_class(reference, other, overlap), AGREED_IOU) >= 0).sum())
    before, after = int(reference.present.sum()), int(other.present.sum())
    shift = moved.distance[moved.pairs >= 0].double()
    mean = float(shift.mean()) if len(shift) else float("nan") if before + after else 0.0
    score = float(moved.score.double().mean())
    return Agreement.of(len(reference), Counts(tp, after - tp, before - tp), score, mean, unit)
