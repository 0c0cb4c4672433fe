"""The sections of a report about results, each from its evidence; the figures are those of the pages."""

from __future__ import annotations

import math

from sfcore import drawing
from sfcore.colours import FULL, LABEL, MOVED
from sfcore.datasets.dataset import Frame
from sfcore.datasets.images import content_hash
from sfcore.present import tuning_charts
from sfcore.present.figures import curves as curve_figures
from sfcore.present.figures import scores
from sfcore.present.model_comparison import Model, calibration_overlap, draw, labelled_objects, measure_title, series
from sfcore.present.report import page
from sfcore.present.report.evidence import Evidence
from sfcore.present.run_history import history
from sfcore.sensitivity.curves import Curves

SHOWN = 6  # frames with pictures
WIDTH = 960  # pixels of a picture


def headline(evidence: Evidence) -> str:
    """What came out, before and after tuning, and on which images."""
    parts = [page.text(_where(evidence))]
    for run in evidence.runs:
        own = [model for model in evidence.models if model.run is run]
        parts += [f"<h3>{page.escaped(run.name)}</h3>"] if len(evidence.runs) > 1 else []
        parts.append(page.cards(_cards(evidence, own[0], own[-1])))
    parts.append(page.table(_models(evidence), "All models"))
    words = evidence.task.words
    parts.append(page.text(f"F1: {words.agreement} Distortion: {words.distortion} Shift: {words.shift}", "quiet"))
    problems: list[page.Row] = [{"Frame": name, "Problem": said} for name, said in evidence.comparison.problems.items()]
    return page.section("What came out", *parts, page.table(problems, "Missing or damaged") if problems else "")


def _where(evidence: Evidence) -> str:
    """Which frames these are, and whether they flatter the runs."""
    count = f"{len(evidence.comparison.frames)} frames"
    if evidence.held_back:
        said = f"On {count} that the run {evidence.runs[0].name} held back from calibration and tuning."
        return f"{said} Its best state was chosen on them: judge it on other roads and cameras, too."
    parts = [f"On {count} of {evidence.dataset.root.name}."]
    files = [frame.image for frame in evidence.comparison.frames]
    for run in evidence.runs:
        seen = calibration_overlap(run, files, lambda file: content_hash([file]))
        if seen is None:
            parts.append(f"Whether the run {run.name} has seen them is not known: its images are gone.")
        elif seen:
            parts.append(f"The run {run.name} was calibrated and tuned on {seen} of them: numbers on those flatter it.")
        else:
            parts.append(f"None of them was used to calibrate or tune the run {run.name}.")
    return " ".join(parts)


def _cards(evidence: Evidence, first: Model, last: Model) -> list[tuple[str, str, str]]:
    """Headline numbers of a run's last model, each beside that of its first."""
    before, after = (evidence.comparison.scores[model.name] for model in (first, last))
    rows = [
        ("F1", before.agreement.f1, after.agreement.f1, 3),
        ("Distortion per image", before.agreement.distortion, after.agreement.distortion, 2),
        ("Shift", before.agreement.shift, after.agreement.shift, 2),
    ]
    if before.labels and after.labels:
        name = before.labels.headline
        rows.append((f"{measure_title(name)} against labels", before.labels.total[name], after.labels.total[name], 3))

    def number(value: float, label: str, digits: int) -> str:
        return (
            "none"
            if math.isnan(value)
            else f"{value:.{digits}f}" + (f" {evidence.task.words.unit}" if label == "Shift" else "")
        )

    def more(value: float, label: str, digits: int) -> str:
        return last.which if first is last else f"{number(value, label, digits)} before tuning"

    return [(label, number(now, label, n), more(was, label, n)) for label, was, now, n in rows]


def _models(evidence: Evidence) -> list[page.Row]:
    """A row a model: what the labels' metric says, and how it agrees with full precision."""
    rows: list[page.Row] = []
    for name, scored in evidence.comparison.scores.items():
        total = scored.labels.total if scored.labels else {}
        labels = {f"{measure_title(measure)}, labels": value for measure, value in total.items()}
        agreed = scored.agreement
        ours = {"F1": agreed.f1, "Distortion": agreed.distortion, f"Shift ({agreed.unit})": agreed.shift}
        rows.append({"Model": name, **ours, **labels})
    return rows


def scenarios(evidence: Evidence) -> str:
    """Each model's bars scenario by scenario; nothing where none are known."""
    found = evidence.comparison
    if not found.scores[evidence.models[0].name].scenarios:
        return ""
    labels = found.scores[evidence.models[0].name].labels
    measure = labels.headline if labels else "f1"
    bars = series(evidence.models, found, measure)
    named = f"{measure_title(measure)}, against {'labels' if found.labelled else 'full precision'}"
    rows: list[page.Row] = [
        {"Scenario": scenario, **{each.name: each.values[scenario] for each in bars}} for scenario in bars[0].values
    ]
    chart = page.chart(scores.by_scenario(bars, named, 300), named, f"{named}, of each model by scenario")
    return page.section("By scenario", chart, page.table(rows, f"{named}, by scenario"))


def frames(evidence: Evidence) -> str:
    """The worst frames as sliders between two models, and a table of all."""
    found, names = evidence.comparison, [model.name for model in evidence.models]
    lasts = [[model.name for model in evidence.models if model.run is run][-1] for run in evidence.runs]

    def worst(frame: Frame) -> float:
        return -max(found.scores[name].distortion[frame.name] for name in lasts)

    ordered = sorted(found.frames, key=worst)
    shown = [
        page.slider(_pictures(evidence, frame), frame.name, _numbers(evidence, frame)) for frame in ordered[:SHOWN]
    ]
    left = names[0] if len(lasts) == 1 else lasts[0]
    keys = [("full precision", FULL, "band"), ("in place", MOVED, "line")]
    task = evidence.task
    keys += [(part.name, part.colour, "line") for part in task.parts] + [("lost", task.lost_colour, "dots")]
    keys += [("labels", LABEL, "dash")] if found.labelled else []
    return page.section(
        f"{task.words.plural.capitalize()}, worst frames first",
        page.choices(names, left, lasts[-1]),
        page.legend(*keys),
        f'<div class="frames">{"".join(shown)}</div>',
        page.table([_row(evidence, frame) for frame in ordered], "Distortion of all frames"),
    )


def _pictures(evidence: Evidence, frame: Frame) -> dict[str, bytes]:
    """The frame with each model's prediction, as JPEG by the model's name."""
    place = evidence.comparison.frames.index(frame)
    canvas = drawing.canvas(evidence.reader.canvas(evidence.reader.read(frame.image)), WIDTH)
    full = evidence.predictions[evidence.models[0].name][place]
    labels = labelled_objects(evidence.dataset, frame) if evidence.comparison.labelled else []
    size = evidence.dataset.size(frame) if labels else (0, 0)
    return {
        model.name: drawing.jpeg(
            draw(evidence.task, canvas, model, full, evidence.predictions[model.name][place], labels, size), 80
        )
        for model in evidence.models
    }


def _numbers(evidence: Evidence, frame: Frame) -> str:
    """Distortion of one frame by part, a line a model, as HTML."""
    place = evidence.comparison.frames.index(frame)
    full, lines = evidence.predictions[evidence.models[0].name][place], []
    for model in evidence.models[1:]:
        parts = evidence.task.distortion(full, evidence.predictions[model.name][place]).parts()
        said = ", ".join(f"{part} {float(value):.2f}" for part, value in parts.items())
        total = sum(float(value) for value in parts.values())
        lines.append(f"<small>{page.escaped(model.name)}: distortion {total:.2f} ({said})</small>")
    return "".join(lines)


def _row(evidence: Evidence, frame: Frame) -> page.Row:
    found = evidence.comparison
    scenario: page.Row = {"Scenario": frame.scenario} if frame.scenario else {}
    each = {model.name: found.scores[model.name].distortion[frame.name] for model in evidence.models[1:]}
    return {"Frame": frame.name, **scenario, **each}


def noise(evidence: Evidence) -> str:
    """Where quantization puts each head, on the noise-score curves where the run has measured them."""
    parts = []
    for run, levels in zip(evidence.runs, evidence.levels, strict=True):
        if (run.path / "curves.json").is_file():
            finite = {which: {h: v for h, v in each.items() if math.isfinite(v)} for which, each in levels.items()}
            figure = curve_figures.noise_score(Curves.load(run.path), standing=finite)
            parts.append(
                page.chart(figure, f"Noise–score curves, {run.name}", "Distortion over the noise on each head")
            )
    rows: list[page.Row] = []
    for head in evidence.heads:
        row: page.Row = {"Head": head}
        for place, levels in enumerate(evidence.levels):
            row |= {which + (", run 2" if place else ""): 100 * each[head] for which, each in levels.items()}
        rows.append(row)
    table = page.table(rows, "Noise level of each head (% of its RMS)", "%.3g")
    return page.section("What quantization does to the heads", page.side_by_side(*parts), table)


def tuning(evidence: Evidence) -> str:
    """Losses, held-back distortion, noise levels and selection over the iterations of each run."""
    parts = []
    for run in evidence.runs:
        of = f", {run.name}" if len(evidence.runs) > 1 else ""
        drawn = tuning_charts.charts(history(run.events()[0]), list(evidence.heads))
        charts = [page.chart(each.figure, f"{each.title}{of}", each.alt) for each in drawn]
        parts += [page.side_by_side(*charts)] if charts else []
    return page.section("Tuning", *parts) if parts else ""
