"""The charts of how a run went, the same on the Tune page and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from plotly.graph_objects import Figure

from sfcore.present.figures import runs as figures
from sfcore.present.figures.runs import Points
from sfcore.present.run_history import RunHistory


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


def charts(history: RunHistory, heads: Sequence[str]) -> list[Chart]:
    """Those that there is something to draw for.

    Args:
        heads: all of the detector, in the order of its table.
    """
    found = []
    if history.loss[0]:
        found.append(Chart(
            "Loss", "What is minimised, on each iteration's images.",
            figures.losses(history.loss), "Loss over iterations", _table(history.loss, "loss"),
        ))  # fmt: skip
    if history.held_back[0]:
        found.append(Chart(
            "Distortion on held-back images", "Mean per image. The state with the least is kept.",
            figures.held_back(history.held_back), "Distortion over iterations", _table(history.held_back, "distortion"),
        ))  # fmt: skip
    if history.noise:
        table = pd.concat([_table(points, "noise").assign(head=head) for head, points in history.noise.items()])
        found.append(Chart(
            "Noise level of each head", "RMS error of the head's output over the head's own RMS, on the step's images.",
            figures.noise_over_time(history.noise, heads), "Noise levels over iterations", table,
        ))  # fmt: skip
    if any(len(chosen) < len(heads) for _, _, chosen in history.selected):
        rows = [(first, last, ", ".join(chosen)) for first, last, chosen in history.selected]
        found.append(Chart(
            "Heads tuned on", "The most sensitive heads are selected anew every so often.",
            figures.selection_timeline(history.selected, heads), "Selected heads over iterations",
            pd.DataFrame(rows, columns=["from", "to", "heads"]),
        ))  # fmt: skip
    return found


def _table(points: Points, name: str) -> pd.DataFrame:
    return pd.DataFrame({"iteration": points[0], name: points[1]})
