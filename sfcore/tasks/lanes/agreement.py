"""Agreement of a quantized detector's lanes with the full-precision ones: nothing needs a label."""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.tasks.base import Agreement
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH, distortion
from sfcore.tasks.lanes.pairing import iou
from sfcore.tasks.lanes.types import Lanes
from sfcore.tasks.pairing import pair


def agreement(reference: Lanes, other: Lanes, min_iou: float = 0.5) -> Agreement:
    """Compare ``other`` with ``reference``, image by image.

    A lane is found when it pairs with a reference lane at an IoU of at least ``min_iou``, both drawn 30 px
    wide at 1640 px image width. The shift pairs lanes by nearness alone (:func:`nearest_pairs`), so a lane
    that moved far counts with its whole distance instead of dropping out.

    Args:
        reference, other: B lane sets each, on the same rows and image size.

    Raises:
        ValueError: the two do not fit each other.

    Example:
        >>> import torch
        >>> from sfcore.tasks.lanes.types import sampled
        >>> rows = torch.arange(100.0, 360.0, 10.0)
        >>> columns = [200.0], [200.0, 440.0]
        >>> one, both = (sampled([[[(x, 359.0), (x, 90.0)] for x in at]], rows, (360, 640)) for at in columns)
        >>> found = agreement(both, one)
        >>> found.tp, found.fn, round(found.f1, 2), found.shift
        (1, 1, 0.67, 0.0)
    """
    if len(reference) != len(other):
        raise ValueError(f"{len(reference)} lane sets cannot be compared with {len(other)}: give one for each image")
    if not len(reference):
        return Agreement.of(0, Counts(), float("nan"), float("nan"), "px")
    both = reference.present.unsqueeze(2) & other.present.unsqueeze(1)
    pairs = pair(iou(reference, other) * both, min_iou)
    tp = int((pairs >= 0).sum())
    fn, fp = int(reference.present.sum()) - tp, int(other.present.sum()) - tp
    score = float(distortion(reference, other).score.double().mean())
    return Agreement.of(len(reference), Counts(tp, fp, fn), score, _mean_shift(reference, other), "px")


def nearest_pairs(reference: Lanes, other: Lanes) -> Tensor:
    """Pair lanes so that as many as possible have a partner, and those are nearest in sum.

    The distance of two lanes is their mean |dx| over the rows they share; lanes sharing fewer than two rows
    cannot pair. There is no largest distance: a lane lost here and another invented there count as one that
    moved from here to there.

    Returns:
        (B, La) long: the lane of ``other`` paired with each of ``reference``, -1 for none.
    """
    distance = (reference.x.unsqueeze(2) - other.x.unsqueeze(1)).abs()
    shared = (~distance.isnan()).sum(-1)
    mean = distance.nan_to_num(0.0).sum(-1) / shared.clamp_min(1)
    # Between 0.99 (a whole image width apart) and 1, so that one more pair outweighs nearer ones.
    nearness = 1 - 0.01 * (mean / reference.size[1]).clamp_max(1)
    return pair(torch.where(shared >= 2, nearness, torch.zeros_like(nearness)), 0.0)


def _mean_shift(reference: Lanes, other: Lanes) -> float:
    """Mean |dx| of the matched points in pixels at 640 px image width; 0 where there is no lane at all."""
    pairs = nearest_pairs(reference, other)
    partner = other.x.gather(1, pairs.clamp_min(0).unsqueeze(-1).expand(-1, -1, other.x.shape[-1]))
    shift = (reference.x - partner).abs()[pairs >= 0]
    shift = shift[~shift.isnan()] * REFERENCE_WIDTH / reference.size[1]
    if len(shift):
        return float(shift.double().mean())
    return float("nan") if reference.present.any() or other.present.any() else 0.0
