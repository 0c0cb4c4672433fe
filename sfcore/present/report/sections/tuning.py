"""How the runs went: losses, held-back distortion, noise levels and selection over their iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.present import tuning_charts
from sfcore.present.report.blocks import Chart
from sfcore.present.report.evidence import Evidence
from sfcore.present.run_history import history
from sfcore.runs import RunFolder


@dataclass(frozen=True)
class Tuning:
    """The charts of each run that was tuned."""

    template: ClassVar[str] = "tuning.html.j2"
    runs: Sequence[Sequence[Chart]]


def section(evidence: Evidence) -> Tuning | None:
    """The charts of each run; nothing where none was tuned."""
    runs = [charts for run in evidence.runs if (charts := _charts(evidence, run))]
    return Tuning(runs) if runs else None


def _charts(evidence: Evidence, run: RunFolder) -> list[Chart]:
    of = f", {run.name}" if len(evidence.runs) > 1 else ""
    drawn = tuning_charts.charts(history(run.events()[0]), evidence.heads)
    return [Chart(f"{each.title}{of}", each.alt, each.figure) for each in drawn]
