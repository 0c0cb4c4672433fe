"""How alike a detector finds images: tuning on frames that are nearly the same learns these frames."""

from __future__ import annotations

from dataclasses import replace

import torch

from sfcore.tasks.lanes.distortion import distortion
from sfcore.tasks.lanes.types import Lanes

NEARLY_ALIKE = 0.6  # a highway clip reaches 0.77 with LSTR, frames of ten cameras 0.2
MOST = 32  # images that are compared, each with each


def likeness(lanes: Lanes) -> float:
    """How alike the lanes of different images are.

    1 - (mean distortion between two images) / (what it would be if they had no lane in common), over all pairs:
    1 when every image has the same lanes, near 0 when none share any.

    Args:
        lanes: of the images in question; at most 32 of them, evenly spread, are compared.

    Returns:
        At most 1; 1 for a single image or where there are no lanes at all.
    """
    count = min(len(lanes), MOST)
    some = lanes[[index * len(lanes) // count for index in range(count)]]
    first, second = torch.triu_indices(count, count, 1)
    if not len(first):
        return 1.0
    nothing = replace(some, x=torch.full_like(some.x, float("nan")))
    alone = distortion(some, nothing).score
    unlike = float((alone[first] + alone[second]).sum())
    return 1 - float(distortion(some[first], some[second]).score.sum()) / unlike if unlike > 0 else 1.0
