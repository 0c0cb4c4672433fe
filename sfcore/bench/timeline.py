"""Each head's noise level while a run is tuned, and when it was selected: figure 6 of the paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POINTS = 100  # at most, of one head: enough for a picture and a table


@dataclass(frozen=True, eq=False)
class Timeline:
    """One run, in stretches of equally many steps.

    Attributes:
        iterations: (N,) the last step of each stretch.
        noise: (N,) mean noise level over the steps of each stretch, by head.
        selected: (N,) share of those steps for which the head was selected, by head.
    """

    iterations: np.ndarray
    noise: dict[str, np.ndarray]
    selected: dict[str, np.ndarray]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a head and stretch, for tables."""
        return [
            {
                "iteration": int(self.iterations[i]),
                "head": head,
                "noise": float(levels[i]),
                "selected": float(self.selected[head][i]),
            }
            for head, levels in self.noise.items()
            for i in range(len(self.iterations))
        ]


def timeline(events: Sequence[Mapping[str, Any]], most: int = POINTS) -> Timeline | None:
    """Read a run's events; None where no step tells the noise of the heads, as in reconstruction by blocks."""
    steps = [event for event in events if event["type"] == "step" and event.get("noise")]
    if not steps:
        return None
    ends = np.unique(np.linspace(0, len(steps), min(most, len(steps)) + 1).round().astype(int))[1:]
    counts = np.diff(ends, prepend=0)

    def mean(values: Sequence[float]) -> np.ndarray:
        return np.diff(np.cumsum(values)[ends - 1], prepend=0) / counts

    heads = list(steps[0]["noise"])
    return Timeline(
        np.array([steps[end - 1]["iteration"] for end in ends]),
        {head: mean([step["noise"][head] for step in steps]) for head in heads},
        {head: mean([float(head in step["selected"]) for step in steps]) for head in heads},
    )


def as_csv(timelines: Mapping[str, Timeline]) -> bytes:
    """The timelines of several detectors below each other."""
    rows = [{"detector": name, **row} for name, one in timelines.items() for row in one.rows()]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
