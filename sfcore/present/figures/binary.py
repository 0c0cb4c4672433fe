"""Pictures of weights of one bit: how much their signs tell, and the derivative that stands for the sign's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import torch

from sfcore.colours import CALIBRATED, MOVED, head_colour, head_dash
from sfcore.present.figures.charts import Figure, plain
from sfcore.quant.estimators.two_stage import Tanh

FARTHEST = 3.0  # standard deviations that a slope is drawn over, to both sides
NAMED = 8  # layers at most that an axis has room to name


def entropies(used: Mapping[str, float], balanced: Mapping[str, float], height: int = 270) -> Figure:
    """Bits that the sign of a weight tells, in each layer, as it is and if the weights were balanced first.

    Args:
        used, balanced: by layer, in the same order; from 0 to 1.
    """
    figure = go.Figure()
    for name, values, colour, symbol in (
        ("balanced", balanced, CALIBRATED, "circle-open"), ("as used", used, MOVED, "circle"),
    ):  # fmt: skip
        figure.add_scatter(
            x=list(values), y=list(values.values()), mode="markers", name=name,
            marker={"color": colour, "symbol": symbol, "size": 9}, hovertemplate="%{x}: %{y:.3f} bits<extra></extra>",
        )  # fmt: skip
    plain(figure, height)
    figure.update_xaxes(title="layer", showticklabels=len(used) <= NAMED)
    figure.update_yaxes(title="bits a sign")
    return figure


def slopes(times: Sequence[tuple[int, float, float]], height: int = 270) -> Figure:
    """The derivative that a layer's signs were given at some iterations.

    Args:
        times: (iteration, steepness t, share of the weights that could be learned) of each.
    """
    x = np.linspace(-FARTHEST, FARTHEST, 241)
    figure = go.Figure()
    for place, (iteration, t, share) in enumerate(times):
        figure.add_scatter(
            x=x, y=Tanh(t)(torch.from_numpy(x)).numpy(), mode="lines",
            name=f"iteration {iteration:,}: {share:.0%} can be learned",
            line={"color": head_colour(place), "dash": head_dash(place), "width": 2.5},
            hovertemplate="%{x:.2f}: slope %{y:.2f}<extra></extra>",
        )  # fmt: skip
    plain(figure, height)
    figure.update_xaxes(title="weight, in standard deviations")
    figure.update_yaxes(title="slope", rangemode="tozero")
    return figure
