"""Objects found, invented and missed, and the shares that are made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNDEFINED = math.nan  # a score of no frame at all; null in JSON


@dataclass(frozen=True)
class Counts:
    """Objects found (``tp``), invented (``fp``) and missed (``fn``)."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are right; 1 where there is nothing to find and nothing was found."""
        return self._share(self.fp)

    @property
    def recall(self) -> float:
        """Share of the labelled objects that were found; 1 where there is nothing to find and nothing was found."""
        return self._share(self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn); 1 where all are 0."""
        wrong = self.fp + self.fn
        return 2 * self.tp / (2 * self.tp + wrong) if self.tp + wrong else 1.0

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        names = ("tp", "fp", "fn", "precision", "recall", "f1")
        return {name: getattr(self, name) for name in names}

    def _share(self, wrong: int) -> float:
        if self.tp + wrong:
            return self.tp / (self.tp + wrong)
        return float(self.fp + self.fn == 0)
