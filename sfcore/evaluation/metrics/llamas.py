"""LLAMAS' F1 as results are published: CULane's, with lanes 30 px wide though images are narrower than CULane's."""

from __future__ import annotations

from dataclasses import dataclass

from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.metrics.culane import WIDTH, CULane


@METRICS.register("llamas")
@dataclass(frozen=True)
class Llamas(CULane):
    """See :class:`~sfcore.evaluation.metrics.culane.CULane`."""

    width: int | None = WIDTH
