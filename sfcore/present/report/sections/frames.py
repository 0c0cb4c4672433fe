"""The worst frames as sliders between two models, and the distortion of all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore import drawing
from sfcore.colours import FULL, LABEL, MOVED
from sfcore.datasets.dataset import Frame
from sfcore.present.model_comparison import draw, labelled_objects
from sfcore.present.report.blocks import Key, Picture, Row, Slider, Table
from sfcore.present.report.evidence import Evidence

SHOWN = 6  # frames with pictures
WIDTH, QUALITY = 960, 80  # of a picture: pixels, and of JPEG


@dataclass(frozen=True)
class Frames:
    """The frames, worst first.

    Attributes:
        objects: what the models find, in the plural.
        models: the names of all.
        left, right: the two of them that are shown at first.
        legend: of the pictures.
        sliders: of the worst frames.
        table: of all frames.
    """

    template: ClassVar[str] = "frames.html.j2"
    objects: str
    models: Sequence[str]
    left: str
    right: str
    legend: Sequence[Key]
    sliders: Sequence[Slider]
    table: Table


def section(evidence: Evidence) -> Frames:
    """The worst frames of the runs' last models as pictures, and a table of all."""
    names = [model.name for model in evidence.models]
    lasts = [[model.name for model in evidence.models if model.run is run][-1] for run in evidence.runs]
    distortions = [evidence.comparison.scores[name].distortion for name in lasts]
    ordered = sorted(evidence.comparison.frames, key=lambda frame: -max(each[frame.name] for each in distortions))
    return Frames(
        evidence.task.words.plural, names, names[0] if len(lasts) == 1 else lasts[0], lasts[-1],
        _legend(evidence), [_slider(evidence, frame) for frame in ordered[:SHOWN]],
        Table("Distortion of all frames", [_row(evidence, frame) for frame in ordered]),
    )  # fmt: skip


def _legend(evidence: Evidence) -> list[Key]:
    """What the pictures' colours mean."""
    task = evidence.task
    return [
        Key("full precision", FULL, "band"),
        Key("in place", MOVED, "line"),
        *(Key(part.name, part.colour, "line") for part in task.parts),
        Key("lost", task.lost_colour, "dots"),
        *([Key("labels", LABEL, "dash")] if evidence.comparison.labelled else []),
    ]


def _slider(evidence: Evidence, frame: Frame) -> Slider:
    """One frame with what each model finds on it, and its distortion by part, a line a model."""
    place = evidence.comparison.frames.index(frame)
    canvas = drawing.canvas(evidence.reader.canvas(evidence.reader.read(frame.image)), WIDTH)
    labels = labelled_objects(evidence.task, evidence.dataset, frame) if evidence.comparison.labelled else []
    size = evidence.dataset.size(frame) if labels else (0, 0)
    task, full = evidence.task, evidence.predictions[evidence.models[0].name][place]
    pictures = []
    for model in evidence.models:
        drawn = draw(task, canvas, model, full, evidence.predictions[model.name][place], labels, size)
        alt = f"{task.words.plural.capitalize()} of {model.name} on {frame.name}"
        pictures.append(Picture(model.name, alt, drawing.jpeg(drawn, QUALITY)))
    return Slider(frame.name, pictures, _lines(evidence, place))


def _lines(evidence: Evidence, place: int) -> list[str]:
    """Distortion of one frame by part, a line a model."""
    full, lines = evidence.predictions[evidence.models[0].name][place], []
    for model in evidence.models[1:]:
        parts = evidence.task.distortion(full, evidence.predictions[model.name][place]).parts()
        each = ", ".join(f"{part} {float(value):.2f}" for part, value in parts.items())
        lines.append(f"{model.name}: distortion {sum(float(value) for value in parts.values()):.2f} ({each})")
    return lines


def _row(evidence: Evidence, frame: Frame) -> Row:
    scenario: Row = {"Scenario": frame.scenario} if frame.scenario else {}
    scores = evidence.comparison.scores
    return {
        "Frame": frame.name,
        **scenario,
        **{m.name: scores[m.name].distortion[frame.name] for m in evidence.models[1:]},
    }
