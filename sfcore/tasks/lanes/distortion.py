"""Lane Distortion Score: how far the lanes of one set have moved from those of another.

    score = sum over matched points of d(p0, p1) / b(M)  +  n · v

Lengths are in pixels at 640 px image width and points stand one such pixel of height apart, so scores of
detectors with other image sizes and row grids compare. b(M), the bounding length, is the height of the
bounding box of the matched points: it does not change as points move sideways, so every displacement
makes the score grow, and a lane shifted sideways by s pixels scores exactly s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.tasks.base import Distortion
from sfcore.tasks.lanes.pairing import LANE_WIDTH, iou
from sfcore.tasks.lanes.types import Lanes
from sfcore.tasks.pairing import pair, unpaired

REFERENCE_WIDTH = 640  # the image width at which pixels are counted


@dataclass(frozen=True)
class DistortionSettings:
    """What the score leaves open.

    Attributes:
        terminal_fraction: matched points in this share of the matched stretch at either end count as bend,
            those between them as spike.
        min_iou: lanes (drawn 30 px wide at 1640) that overlap less than this are not pairs.
        penalty: v, the cost of one mismatched point. When None, a lane spanning half the image's height
            costs as much lost as shifted sideways by its drawing width: 11.7 px / 180 points = 0.065 for
            16:9 images.
    """

    terminal_fraction: float = 0.25
    min_iou: float = 0.1
    penalty: float | None = None

    def point_penalty(self, size: tuple[int, int]) -> float:
        """v for images of ``size`` (height, width), in pixels at 640 px image width per point."""
        if self.penalty is not None:
            return self.penalty
        return LANE_WIDTH * REFERENCE_WIDTH / (0.5 * size[0] * REFERENCE_WIDTH / size[1])


@dataclass(frozen=True)
class LaneDistortion(Distortion):
    """The score of a batch of lane sets against their references, lane by lane.

    Attributes:
        bend, spike, misalignment: (B, La) parts of each reference lane's score.
        extra: (B, Lb) misalignment of lanes that pair with no reference lane.
        pairs: (B, La) index of the lane paired with each reference lane, -1 for none.
        distance: (B, La, R) displacement of the matched points (pixels at 640 width), NaN elsewhere.
        terminal: (B, La, R) bool, which matched points count as bend.
    """

    bend: Tensor
    spike: Tensor
    misalignment: Tensor
    extra: Tensor
    pairs: Tensor
    distance: Tensor
    terminal: Tensor

    @property
    def lanes(self) -> Tensor:
        """(B, La) the score of each reference lane."""
        return self.bend + self.spike + self.misalignment

    def parts(self) -> dict[str, Tensor]:
        """(B,) of each part per image; they sum to :attr:`score` exactly."""
        return {
            "bend": self.bend.sum(-1),
            "spike": self.spike.sum(-1),
            "misalignment": self.misalignment.sum(-1) + self.extra.sum(-1),
        }


def distortion(reference: Lanes, other: Lanes, settings: DistortionSettings = DistortionSettings()) -> LaneDistortion:
    """Score ``other`` against ``reference``, image by image, in one pass of tensor operations.

    Args:
        reference: B lane sets, or one that all of ``other`` are compared with.
        other: B lane sets on the same rows and image size.

    Raises:
        ValueError: the two do not share rows.

    Example:
        >>> from sfcore.tasks.lanes.types import sampled
        >>> rows = torch.arange(100.0, 360.0, 10.0)
        >>> straight, moved = (sampled([[[(x, 359.0), (x, 90.0)]]], rows, (360, 640)) for x in (320.0, 323.0))
        >>> {part: round(float(value), 2) for part, value in distortion(straight, moved).parts().items()}
        {'bend': 1.38, 'spike': 1.62, 'misalignment': 0.0}
    """
    if reference.size != other.size or len(reference.rows) != len(other.rows):
        raise ValueError(f"lane sets of {reference.size} and {other.size} share no rows: resize one first")
    unit = other.size[1] / REFERENCE_WIDTH
    step = other.row_step / unit
    penalty = settings.point_penalty(other.size) * step

    pairs = pair(iou(reference, other), settings.min_iou)
    lost, partners = pairs < 0, pairs.clamp_min(0)
    partner = other.x.gather(1, partners.unsqueeze(-1).expand(-1, -1, other.x.shape[-1]))
    distance = (partner - reference.x).abs_().div_(unit).masked_fill_(lost.unsqueeze(-1), torch.nan)
    matched = ~distance.isnan()
    terminal, span = _terminal(matched, settings.terminal_fraction)
    known = distance.nan_to_num(0.0)
    bend, spike = known.masked_fill(~terminal, 0.0).sum(-1), known.masked_fill_(terminal, 0.0).sum(-1)

    points = other.valid.sum(-1)
    partner_points = points.gather(1, partners).masked_fill_(lost, 0)
    mismatched = reference.valid.sum(-1) + partner_points - 2 * matched.sum(-1)
    return LaneDistortion(
        bend=bend / span,
        spike=spike / span,
        misalignment=mismatched * penalty,
        extra=points.masked_fill(~unpaired(pairs, other.x.shape[1]), 0) * penalty,
        pairs=pairs,
        distance=distance,
        terminal=terminal,
    )


def _terminal(matched: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """Which matched points bend, and how long the matched stretch is.

    Returns:
        (B, L, R) bool: the matched points in the first or last ``fraction`` of the stretch;
        (B, L) rows from its first to its last point, both counted, at least 1.
    """
    index = torch.arange(matched.shape[-1], device=matched.device, dtype=torch.float32)
    first = torch.where(matched, index, torch.inf).amin(-1, keepdim=True)
    last = torch.where(matched, index, -torch.inf).amax(-1, keepdim=True)
    span = (last - first + 1).clamp_min_(1)
    margin = fraction * span - 0.5
    terminal = ((index < first + margin) | (index > last - margin)) & matched
    return terminal, span.squeeze(-1)
