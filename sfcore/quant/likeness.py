"""How alike a detector finds images: calibration on frames that are nearly the same learns these frames."""

from __future__ import annotations

import torch

from sfcore.detectors.base import Outputs

NEARLY_ALIKE = 0.9  # above this, tuned models looked repaired on their own clip and were ruined on others


def likeness(outputs: Outputs) -> float:
    """How alike images are to the detector: mean cosine similarity of their head outputs, averaged over heads.

    1 when all images give the same outputs. Each head's outputs are compared as they are, images pairwise.

    Args:
        outputs: head outputs of at least one image.

    Returns:
        between -1 and 1; 1 for a single image.
    """
    found = []
    for value in outputs.values():
        flat = torch.nn.functional.normalize(value.flatten(1).double(), dim=1)
        images = len(flat)
        if images < 2:
            return 1.0
        found.append(float(((flat.sum(0) ** 2).sum() - images) / (images * (images - 1))))
    return sum(found) / len(found)
