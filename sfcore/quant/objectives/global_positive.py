"""Task-guided global positive loss: the full-precision network's sure answers as labels (Zhou et al. 2024, LiDAR-PTQ).

The paper is silent on the form of the classification loss, which here is that of the detectors' own training, on which
confidence makes a cell positive where a detector has no boxes (its own 0.1 is taken), and on the weight between the
two, which is λ.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Outputs
from sfcore.detectors.heat_maps import focal_loss
from sfcore.errors import InputError
from sfcore.quant.objectives import OBJECTIVES, Terms

SURE = 0.1  # γ: the confidence that a pseudo-label exceeds


class GlobalPositive:
    """λ · focal(Ĥ, Y) of each heat map + (1/N) Σ over its N peaks of Σ over channels |Ŝ - S| of each semantic head.

    Y has a Gaussian around each peak of the full-precision heat map, and S are the full-precision semantics: nothing
    needs a label. Heads of semantics that lie on another grid than their heat map have no peaks; theirs is the mean of
    the absolute error weighted by their confidence, times the channels (ours).
    """

    def check(self, detector: Detector) -> None:
        """Raise InputError unless the detector has heat maps."""
        if type(detector).positives is Detector.positives:
            raise InputError(
                f"the objective global-positive reads heat maps, and {type(detector).__name__} has none: choose "
                "another, such as focus, or a detector of heat maps, such as GANet"
            )

    def __call__(
        self, detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float
    ) -> Terms:
        with torch.no_grad():
            positives = detector.positives(reference, SURE)
        semantics, confidence = {}, {}
        for name in heads:
            head = detector.head(name)
            if name in positives:
                confidence[name] = lam * focal_loss(quantized[name], positives[name])
            elif head.role == "semantics":
                weight = _weight(detector, reference, head, positives)
                error = (weight * (quantized[name] - reference[name]).abs()).sum()
                semantics[name] = error / weight.sum().clamp_min(1.0)
        return Terms(semantics, confidence)


def _weight(detector: Detector, reference: Outputs, head: Head, positives: dict[str, Tensor]) -> Tensor:
    """1 at the peaks of a head's heat map and 0 elsewhere, where it lies on the same grid; else its confidence."""
    heat = positives[head.confidence]
    if heat.shape[2:] == reference[head.name].shape[2:]:
        return (heat == 1).any(1, keepdim=True).to(heat)
    return detector.confidence(reference, head.name).detach()


OBJECTIVES.register("global-positive")(GlobalPositive())
