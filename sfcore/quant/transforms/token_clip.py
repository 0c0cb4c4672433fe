"""Token-wise clipping: one ratio decides what of the activations of a whole network is clipped, judged at its outputs
(Wei et al. 2022, Outlier Suppression, coarse stage).

Few tokens hold the largest values, and clipping theirs costs little: a range ends at the largest value of some other
token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.calibrators.minmax import minmax
from sfcore.quant.inference import first_images, in_batches
from sfcore.quant.quantizers import Quantizer, full_precision
from sfcore.quant.scheme import Scheme
from sfcore.quant.token_extremes import Extremes, token_extremes
from sfcore.quant.transforms import TRANSFORMS, Transform

SPANS = ((4, 0.9), (6, 0.3), (8, 0.1))  # published: by the bits of activations, how far below 1 the grid of α reaches
TRIED = 10  # values of α, 1 among them: ours
JUDGED, BATCH = 16, 8  # frames that they are judged on, and how many at once: ours
WEIGHT = "weight_quantizer"


@TRANSFORMS.register("token-clip")
class TokenClip(Transform):
    """Clips all activations to what a share α of their tokens reach, with the α that is best at the network's outputs.

    Published (section 4.2, coarse stage): o^u and o^l are the largest and the least value of each token; a range ends
    at the largest o^u up to the α-quantile of |o^u|, below likewise, averaged over batches. One α for the network, of a
    grid from 1 down by 0.1, 0.3 or 0.9 at 8, 6 or 4 bits in steps of 0.01, has the least mean squared error to the
    outputs in full precision, weights in full precision meanwhile. What a softmax puts out is not clipped.

    Ours: positions are the tokens of convolutions; spans between these bits are interpolated; 10 values of α are tried,
    the nearer to 1 the denser, on at most 16 frames; the error of each head counts as a share of its mean square, for
    heads have units of their own; and the calibrator's ranges stay where no α is better than they are. The fine stage,
    which learns step sizes and zero points, is not part of it: methods such as lsq-plus learn them.
    """

    @torch.no_grad()
    def adjust(self, model: Detector, detector: Detector, batches: Sequence[Tensor], scheme: Scheme) -> list[str]:
        extremes = token_extremes(model, batches)
        judged = first_images(batches, JUDGED).split(BATCH)
        expected = in_batches(detector, judged)
        calibrated = {quantizer: _range_of(quantizer) for quantizer in extremes}
        with full_precision(model, only=WEIGHT):
            kept = error(in_batches(model, judged), expected)
            tried: dict[float, float] = {}
            for ratio in ratios(scheme.activation_bits):
                clip(extremes, ratio)
                tried[ratio] = error(in_batches(model, judged), expected)
        best = min(tried, key=lambda ratio: tried[ratio])
        if kept <= tried[best]:
            for quantizer, (scale, signed, zero) in calibrated.items():
                quantizer.set_range(scale, signed, zero)
        else:
            clip(extremes, best)
        return [_said(best, tried, kept)]


def ratios(bits: int) -> list[float]:
    """The values of α that are tried, from 1 down.

    Example:
        >>> [round(ratio, 3) for ratio in ratios(8)][:4]
        [1.0, 0.999, 0.995, 0.989]
        >>> round(ratios(8)[-1], 3)
        0.9
    """
    return [1 - span(bits) * (place / (TRIED - 1)) ** 2 for place in range(TRIED)]


def span(bits: int) -> float:
    """How far below 1 the grid of α reaches: published for 4, 6 and 8 bits, on straight lines between, as at the
    nearest beyond."""
    (low, most), *_ = SPANS
    if bits <= low:
        return most
    for (few, wide), (many, narrow) in pairwise(SPANS):
        if bits <= many:
            return wide + (narrow - wide) * (bits - few) / (many - few)
    return SPANS[-1][1]


def error(found: Outputs, expected: Outputs) -> float:
    """The mean over heads of the squared error as a share of the head's mean square."""
    shares = [
        float((found[name] - value).square().mean() / value.square().mean().clamp_min(torch.finfo(value.dtype).tiny))
        for name, value in expected.items()
    ]
    return sum(shares) / len(shares)


def clip(extremes: Mapping[Quantizer, Sequence[Extremes]], ratio: float) -> None:
    """Give quantizers the range that a share of the tokens reach, averaged over batches; signed ones stay so."""
    for quantizer, seen in extremes.items():
        ends = torch.stack([each.ends(ratio) for each in seen]).mean(0)
        quantizer.calibrate([ends.unsqueeze(0)], quantizer.signed, minmax)


def _range_of(quantizer: Quantizer) -> tuple[Tensor, bool, Tensor | None]:
    zero = None if quantizer.zero is None else quantizer.zero.detach().clone()
    return quantizer.scale.detach().clone(), quantizer.signed, zero


def _said(best: float, tried: Mapping[float, float], kept: float) -> str:
    errors = f"error of the outputs {tried[best]:.3g} at α = {best:.3g}, {tried[1.0]:.3g} at α = 1"
    stays = "; these stay" if kept <= tried[best] else ""
    return f"{errors}, {kept:.3g} with the calibrator's ranges{stays}"
