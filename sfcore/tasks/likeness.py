"""How alike a detector finds frames: tuning on frames that are nearly the same learns these frames."""

from __future__ import annotations

from typing import Any

import torch

from sfcore.tasks.base import Prediction, Task

NEARLY_ALIKE = 0.2  # with LSTR frames of one camera are .1 to .6 alike, of two .3, of four and more below .12
MOST = 32  # frames that are compared, each with each


def likeness(task: Task[Any], prediction: Prediction) -> float:
    """How alike the objects of different frames are.

    1 - (mean distortion between two frames) / (what it would be if they had no object in common), over all pairs:
    1 when every frame has the same objects, near 0 when none share any.

    Args:
        prediction: of the frames in question; at most 32 of them, evenly spread, are compared.

    Returns:
        At most 1; 1 for a single frame or where there are no objects at all.
    """
    count = min(len(prediction), MOST)
    some = prediction[[index * len(prediction) // count for index in range(count)]]
    first, second = torch.triu_indices(count, count, 1)
    if not len(first):
        return 1.0
    alone = task.distortion(some, task.empty(some)).score
    unlike = float((alone[first] + alone[second]).sum())
    return 1 - float(task.distortion(some[first], some[second]).score.sum()) / unlike if unlike > 0 else 1.0
