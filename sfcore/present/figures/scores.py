"""Charts of what a metric says of several models, scenario by scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from sfcore.colours import rgba
from sfcore.present.figures.charts import Figure, plain

MOST_NUMBERS = 32  # bars that have their value written above them; with more there is no room


@dataclass(frozen=True)
class Series:
    """One model's bars.

    Attributes:
        name: of the model.
        colour: what the model has everywhere.
        values: its measure by group; None where it means nothing.
        hatched: it belongs to a second run.
    """

    name: str
    colour: str
    values: Mapping[str, float | None]
    hatched: bool = False


def by_scenario(models: Sequence[Series], title: str, height: int = 250) -> Figure:
    """Grouped bars: a group a scenario in the order of the first model's values, a bar a model, from 0 to 1."""
    figure = go.Figure()
    numbered = sum(len(model.values) for model in models) <= MOST_NUMBERS
    for model in models:
        values = list(model.values.values())
        pattern = {"shape": "/", "fgcolor": model.colour, "bgcolor": rgba(model.colour, 0.25), "size": 6}
        figure.add_bar(
            x=list(model.values),
            y=values,
            name=model.name,
            marker={"color": model.colour, "pattern": pattern if model.hatched else None},
            text=["" if value is None else f"{value:.2f}" for value in values] if numbered else None,
            textposition="outside",
            textangle=0,
            textfont={"size": 10},
            cliponaxis=False,
            hovertemplate="%{x}, " + model.name + ": %{y:.3f}<extra></extra>",
        )
    plain(figure, height, barmode="group", bargap=0.22, bargroupgap=0.06)
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(title=title, range=[0, 1.08], tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure
