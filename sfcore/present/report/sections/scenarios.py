"""Each model's scores scenario by scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.present.figures.scores import by_scenario
from sfcore.present.model_comparison import measure_title, series
from sfcore.present.report.blocks import Chart, Row, Table
from sfcore.present.report.evidence import Evidence

HEIGHT = 300  # pixels of the chart


@dataclass(frozen=True)
class Scenarios:
    """The headline measure of each model by scenario."""

    template: ClassVar[str] = "scenarios.html.j2"
    chart: Chart
    table: Table


def section(evidence: Evidence) -> Scenarios | None:
    """Each model's bars; nothing where no scenario is known."""
    comparison = evidence.comparison
    first = comparison.scores[evidence.models[0].name]
    if not first.scenarios:
        return None
    measure = first.labels.headline if first.labels else "f1"
    bars = series(evidence.models, comparison, measure)
    named = f"{measure_title(measure)}, against {'labels' if comparison.labelled else 'full precision'}"
    rows: list[Row] = [{"Scenario": name, **{each.name: each.values[name] for each in bars}} for name in bars[0].values]
    return Scenarios(
        Chart(named, f"{named}, of each model by scenario", by_scenario(bars, named, HEIGHT)),
        Table(f"{named}, by scenario", rows),
    )
