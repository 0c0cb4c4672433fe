"""The pictures and the table of a search, the same in the app and in its page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sfcore.present.figures import searches
from sfcore.present.figures.charts import Figure
from sfcore.present.figures.searches import Dimension, Tried
from sfcore.quant.methods.options import options_of
from sfcore.quant.methods.recipe import METHODS
from sfcore.search.folder import HOPELESS, Trial
from sfcore.search.space import BITS, Axis, Space

STATES = {"done": searches.DONE, HOPELESS: searches.HOPELESS, "running": searches.GOING}


def title(name: str, method: str) -> str:
    """What people call an axis."""
    return "bits" if name == BITS else options_of(METHODS[method])[name].called


def parallel(space: Space, trials: Sequence[Trial]) -> Figure:
    """All trials over all axes: see :func:`sfcore.present.figures.searches.parallel`."""
    return searches.parallel(_dimensions(space), _tried(space, trials))


def pairs(space: Space, trials: Sequence[Trial], across: str, up: str) -> Figure:
    """All trials over two axes by their names: see :func:`sfcore.present.figures.searches.pairs`."""
    names = [axis.name for axis in space.axes]
    places = names.index(across), names.index(up)
    dimensions = _dimensions(space)
    return searches.pairs(dimensions[places[0]], dimensions[places[1]], _tried(space, trials), places)


def usual_pair(space: Space) -> tuple[str, str] | None:
    """The two axes that are shown first: λ across and k up where they are varied; None where only one axis is."""
    names = [axis.name for axis in space.axes]
    first = [name for name in ("lam", "k") if name in names]
    chosen = [*first, *(name for name in names if name not in first)]
    return (chosen[0], chosen[1]) if len(chosen) > 1 else None


def table(space: Space, trials: Sequence[Trial]) -> pd.DataFrame:
    """A row a trial, the least distorted first, then those that have not ended well."""
    order = sorted(trials, key=lambda t: (t.state != "done", float("inf") if t.value is None else t.value))
    rows: list[dict[str, Any]] = [
        {
            "Run": trial.run.name,
            **{title(name, space.spec.method): value for name, value in trial.params.items()},
            "Distortion": trial.value,
            "State": trial.state if trial.state != HOPELESS else searches.HOPELESS,
        }
        for trial in order
    ]
    return pd.DataFrame(rows)


def _dimensions(space: Space) -> list[Dimension]:
    return [_dimension(axis, title(axis.name, space.spec.method)) for axis in space.axes]


def _dimension(axis: Axis, name: str) -> Dimension:
    if not axis.values:
        return Dimension(name, (), axis.low, axis.high, axis.log)
    numbers = all(isinstance(value, int | float) for value in axis.values)
    values: Sequence[Any] = sorted(axis.values) if numbers else axis.values
    return Dimension(name, tuple(map(str, values)))


def _tried(space: Space, trials: Sequence[Trial]) -> list[Tried]:
    """Those that there is something to draw of."""
    return [
        Tried(trial.run.name, tuple(trial.params[axis.name] for axis in space.axes), trial.value, STATES[trial.state])
        for trial in trials
        if trial.state in STATES and trial.value is not None
    ]
