"""Where quantization puts each head, on the noise–score curves where a run has measured them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.present.figures.curves import noise_score
from sfcore.present.report.blocks import Chart, Row, Table
from sfcore.present.report.evidence import Evidence, Levels
from sfcore.runs import RunFolder
from sfcore.sensitivity.curves import Curves


@dataclass(frozen=True)
class Noise:
    """What quantization does to the heads.

    Attributes:
        curves: of the runs that have measured them.
        levels: a row a head.
    """

    template: ClassVar[str] = "noise.html.j2"
    curves: Sequence[Chart]
    levels: Table


def section(evidence: Evidence) -> Noise:
    """The noise level of each head in each quantized model, as marks on its curve and as numbers."""
    runs = zip(evidence.runs, evidence.levels, strict=True)
    charts = [_chart(run, levels) for run, levels in runs if (run.path / "curves.json").is_file()]
    rows: list[Row] = [_row(head, evidence.levels) for head in evidence.heads]
    return Noise(charts, Table("Noise level of each head (% of its RMS)", rows, "%.3g"))


def _chart(run: RunFolder, levels: Levels) -> Chart:
    finite = {which: {head: v for head, v in each.items() if math.isfinite(v)} for which, each in levels.items()}
    figure = noise_score(Curves.load(run.path), standing=finite)
    return Chart(f"Noise–score curves, {run.name}", "Distortion over the noise on each head", figure)


def _row(head: str, levels: Sequence[Levels]) -> Row:
    row: Row = {"Head": head}
    for place, each in enumerate(levels):
        row |= {which + (", run 2" if place else ""): 100 * of[head] for which, of in each.items()}
    return row
