"""The charts of how a run went, the same on the Tune page and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from sfcore.present.figures import binary
from sfcore.present.figures import runs as figures
from sfcore.present.figures.runs import Points
from sfcore.present.run_history import Facts, RunHistory

CURVES = 5  # at most, in one chart


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
    return [*found, *_of_weights(history.weights)]


def _of_weights(seen: Sequence[tuple[int, Facts]]) -> list[Chart]:
    """What was written down of how weights are rounded: of weights of one bit, how much their signs tell, and the
    derivative that stands for the sign's."""
    found = []
    if seen and (layers := {name: facts for name, facts in seen[-1][1].items() if "balanced" in facts}):
        used, balanced = ({name: facts[key] for name, facts in layers.items()} for key in ("entropy", "balanced"))
        found.append(Chart(
            "Entropy of the signs", "Of weights of one bit, in each layer: 1 bit where both signs are as frequent. "
            "Balanced, each weight would first lose the mean of its channel.",
            binary.entropies(used, balanced), "Entropy of the signs by layer",
            pd.DataFrame({"layer": list(used), "as used": used.values(), "balanced": balanced.values()}),
        ))  # fmt: skip
    if times := [(iteration, *middle) for iteration, facts in seen if (middle := _middle(facts))]:
        places = np.linspace(0, len(times) - 1, min(CURVES, len(times))).round().astype(int)
        found.append(Chart(
            "Slope of the sign", "What stands for the sign's derivative, in the layer in the middle: wide at first, so "
            "that all weights move, narrow at the end, where it is nearly exact.",
            binary.slopes([times[place] for place in places]), "Slope over the weight at some iterations",
            pd.DataFrame(times, columns=["iteration", "t", "share that can be learned"]),
        ))  # fmt: skip
    return found


def _middle(facts: Facts) -> tuple[float, float] | None:
    """The steepness of the slope and the share of weights that can be learned, median of the layers that have them."""
    pairs = [(each["t"], each["updatable"]) for each in facts.values() if "t" in each]
    return (median(t for t, _ in pairs), median(share for _, share in pairs)) if pairs else None


def _table(points: Points, name: str) -> pd.DataFrame:
    return pd.DataFrame({"iteration": points[0], name: points[1]})
