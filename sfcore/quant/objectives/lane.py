"""Lane Focus: the semantic error measured on the road, in pixels, rather than in the heads' own units.

A curve parameter and the pixels that it moves are not proportional, so an error that is small in the head
can be large on the road. The detector gives its semantics as differentiable points; those of the
full-precision model, weighted by its confidence, are the target.
"""

from __future__ import annotations

from torch.nn.functional import huber_loss

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.objectives import OBJECTIVES, Terms, squared


@OBJECTIVES.register("lane")
def lane(detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float) -> Terms:
    """mean over points of c_j · huber(p̂_j - p_j) + λ · mean over confidences of (Ĉ - C)².

    Points join all semantic heads, so ``heads`` only decides which confidences count.
    """
    task = detector.task
    points, target = task.points(detector, quantized), task.points(detector, reference)
    error = huber_loss(points.position, target.position, reduction="none", delta=task.huber_delta)
    semantics = (target.weight * error).sum() / target.weight.sum().clamp_min(1.0)
    confidence = {}
    for name in sorted({detector.head(name).confidence for name in heads}):
        full = detector.confidence(reference, name)
        confidence[name] = lam * squared(detector.confidence(quantized, name) - full) / full[0].numel()
    return Terms({task.words.scene: semantics}, confidence)
