"""How long one image takes, on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

WARM, TIMED = 3, 30  # runs


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one image.

    Attributes:
        median_ms, p95_ms: of 30 runs after three that are not counted.
    """

    median_ms: float
    p95_ms: float

    @classmethod
    def of(cls, run: Callable[[], object]) -> Latency:
        """Time what runs one image."""
        seconds = []
        for _ in range(WARM + TIMED):
            begun = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begun)
        median, p95 = np.percentile(np.array(seconds[WARM:]) * 1000, [50, 95])
        return cls(float(median), float(p95))

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)
