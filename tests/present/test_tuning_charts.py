"""Which charts a run has, and the numbers in those of weights of one bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sfcore.present.run_history import history
from sfcore.present.tuning_charts import Chart, charts


def drawn(*weights: Mapping[str, Any] | None) -> dict[str, Chart]:
    """The charts of a run with a step for each of what is known of its weights."""
    events = [
        {"type": "step", "time": 1.0, "iteration": number, "iterations": 9, "loss": 1.0}
        | ({} if facts is None else {"weights": facts})
        for number, facts in enumerate(weights, 1)
    ]
    return {chart.title: chart for chart in charts(history(events), ["head"])}


def layer(t: float | None = None, updatable: float = 1.0) -> dict[str, float]:
    return {"entropy": 0.4, "balanced": 0.9, "updatable": updatable} | ({} if t is None else {"t": t})


def test_runs_without_weights_of_one_bit_have_no_charts_of_them() -> None:
    assert list(drawn(None, None)) == ["Loss"]


def test_entropy_is_drawn_of_the_latest_weights_layer_by_layer() -> None:
    chart = drawn({"a": layer() | {"balanced": 0.1}}, {"a": layer(), "b": layer()})["Entropy of the signs"]
    balanced, used = chart.figure.data
    assert list(used.x) == ["a", "b"] and list(used.y) == [0.4, 0.4] and list(balanced.y) == [0.9, 0.9]
    assert chart.table.to_dict("list") == {"layer": ["a", "b"], "as used": [0.4, 0.4], "balanced": [0.9, 0.9]}


def test_five_slopes_at_most_are_drawn_of_the_layer_in_the_middle() -> None:
    steps = [{"a": layer(0.1), "b": layer(t, 0.5), "c": layer(10.0)} for t in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    chart = drawn(*steps)["Slope of the sign"]
    assert len(chart.figure.data) == 5 and len(chart.table) == 7
    peaks = [max(line.y) for line in chart.figure.data]
    assert peaks[0] == pytest.approx(1.0) and peaks[-1] == pytest.approx(10.0)
    assert chart.figure.data[0].name == "iteration 1: 100% can be learned"


def test_an_estimator_that_is_the_same_all_along_has_no_curves() -> None:
    assert list(drawn({"a": layer()})) == ["Loss", "Entropy of the signs"]
