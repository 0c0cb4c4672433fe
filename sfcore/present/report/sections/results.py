"""What came out: headline numbers of each run, a table of all models, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.datasets.images import content_hash
from sfcore.present.model_comparison import Model, calibration_overlap, measure_title
from sfcore.present.report.blocks import Card, Row, Table
from sfcore.present.report.evidence import Evidence
from sfcore.runs import RunFolder


@dataclass(frozen=True)
class Results:
    """What came out.

    Attributes:
        frames: which they are, and whether they flatter the runs.
        runs: the name and the cards of each.
        models: a row a model.
        explanation: of the table's columns.
        problems: what was missing or damaged; None where nothing was.
    """

    template: ClassVar[str] = "results.html.j2"
    frames: str
    runs: Sequence[tuple[str, Sequence[Card]]]
    models: Table
    explanation: str
    problems: Table | None


def section(evidence: Evidence) -> Results:
    """What came out, before and after tuning, and on which images."""
    words = evidence.task.words
    problems: list[Row] = [{"Frame": name, "Problem": said} for name, said in evidence.comparison.problems.items()]
    return Results(
        _frames(evidence),
        [(run.name, _cards(evidence, run)) for run in evidence.runs],
        Table("All models", _models(evidence)),
        f"F1: {words.agreement} Distortion: {words.distortion} Shift: {words.shift}",
        Table("Missing or damaged", problems) if problems else None,
    )


def _frames(evidence: Evidence) -> str:
    """Which frames these are, and whether they flatter the runs."""
    count = f"{len(evidence.comparison.frames)} frames"
    if evidence.held_back:
        return (
            f"On {count} that the run {evidence.runs[0].name} held back from calibration and tuning. "
            f"Its best state was chosen on them: judge it on {evidence.task.words.elsewhere}, too."
        )
    files = [frame.image for frame in evidence.comparison.frames]
    parts = [f"On {count} of {evidence.dataset.root.name}."]
    for run in evidence.runs:
        known = calibration_overlap(run, files, lambda file: content_hash([file]))
        if known is None:
            parts.append(f"Whether the run {run.name} has seen them is not known: its images are gone.")
        elif known:
            parts.append(
                f"The run {run.name} was calibrated and tuned on {known} of them: numbers on those flatter it."
            )
        else:
            parts.append(f"None of them was used to calibrate or tune the run {run.name}.")
    return " ".join(parts)


def _cards(evidence: Evidence, run: RunFolder) -> list[Card]:
    """Headline numbers of a run's last model, each beside that of its first."""
    own = [model for model in evidence.models if model.run is run]
    before, after = (evidence.comparison.scores[model.name] for model in (own[0], own[-1]))
    rows = [
        ("F1", before.agreement.f1, after.agreement.f1, "{:.3f}"),
        ("Distortion per image", before.agreement.distortion, after.agreement.distortion, "{:.2f}"),
        ("Shift", before.agreement.shift, after.agreement.shift, f"{{:.2f}} {evidence.task.words.unit}"),
    ]
    if before.labels and after.labels:
        name = before.labels.headline
        totals = before.labels.total[name], after.labels.total[name]
        rows.append((f"{measure_title(name)} against labels", *totals, "{:.3f}"))
    return [Card(title, _number(now, form), _before(own, _number(was, form))) for title, was, now, form in rows]


def _before(models: Sequence[Model], number: str) -> str:
    """What stands beside a run's number: that of its first model, or which model it is of where there is one alone."""
    return models[0].which if len(models) == 1 else f"{number} before tuning"


def _number(value: float, form: str) -> str:
    return "none" if math.isnan(value) else form.format(value)


def _models(evidence: Evidence) -> list[Row]:
    """A row a model: what the labels' metric says, and how it agrees with full precision."""
    rows: list[Row] = []
    for name, scores in evidence.comparison.scores.items():
        total = scores.labels.total if scores.labels else {}
        labels = {f"{measure_title(measure)}, labels": value for measure, value in total.items()}
        agreed = scores.agreement
        ours = {"F1": agreed.f1, "Distortion": agreed.distortion, f"Shift ({agreed.unit})": agreed.shift}
        rows.append({"Model": name, **ours, **labels})
    return rows
