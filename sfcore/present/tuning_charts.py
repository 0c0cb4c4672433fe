"""The charts of how a run went, the same on the Tune page and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from plotly.graph_objects import Figure

from sfcore.present.figures import runs as figures
from sfcore.present.figures.runs import Points
from sfcore.present.run_history import Story


@dataclass(frozen=True)
class Chart:
    """A chart with its words.

    Attributes:
        help: what is drawn.
        alt: the same for who cannot see it.
        table: the values.
    """

    title: str
    help: str
    figure: Figure
    alt: str
    table: pd.DataFrame


def charts(told: Story, heads: Sequence[str]) -> list[Chart]:
    """Those that there is something to draw for.

    Args:
        heads: all of the detector, in the order of its table.
    """
    found = []
    if told.loss[0]:
        found.append(Chart(
            "Loss", "What is minimised, on each iteration's images.",
            figures.losses(told.loss), "Loss over iterations", _table(told.loss, "loss"),
        ))  # fmt: skip
    if told.held_back[0]:
        found.append(Chart(
            "Distortion on held-back images", "Mean per image. The state with the least is kept.",
            figures.held_back(told.held_back), "Distortion over iterations", _table(told.held_back, "distortion"),
        ))  # fmt: skip
    if told.noise:
        table = pd.concat([_table(points, "noise").assign(head=head) for head, points in told.noise.items()])
        found.append(Chart(
            "Noise level of each head", "RMS error of the head's output over the head's own RMS, on the step's images.",
            figures.noise_over_time(told.noise, heads), "Noise levels over iterations", table,
        ))  # fmt: skip
    if any(len(chosen) < len(heads) for _, _, chosen in told.selected):
        rows = [(first, last, ", ".join(chosen)) for first, last, chosen in told.selected]
        found.append(Chart(
            "Heads tuned on", "The most sensitive heads are selected anew every so often.",
            figures.selection_timeline(told.selected, heads), "Selected heads over iterations",
            pd.DataFrame(rows, columns=["from", "to", "heads"]),
        ))  # fmt: skip
    return found


def _table(points: Points, name: str) -> pd.DataFrame:
    return pd.DataFrame({"iteration": points[0], name: points[1]})
