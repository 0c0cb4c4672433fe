"""``sfcore evaluate``: files of predictions, a detector, or a run."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command, group
from sfcore.cli.commands.options import Detector, Run, Size, Weights, WeightsKey, size_option
from sfcore.cli.commands.shared import SharedCommand
from sfcore.cli.console import Answer

Predictions = Annotated[str, typer.Option(metavar="DIR", help="The files of predicted lanes.")]
Annotations = Annotated[str, typer.Option(metavar="DIR", help="The labels, under the same names.")]
Jobs = Annotated[int, typer.Option(metavar="N", help="Processes to share the work.")]


@dataclass(frozen=True, kw_only=True)
class Evaluation(Command):
    """An evaluation of anything."""

    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Exit with 0 even if files are missing or damaged.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class CuLane(Evaluation):
    """Score a folder of .lines.txt predictions as CULane does."""

    list_file: Annotated[
        str,
        typer.Option(
            "--list",
            metavar="FILE",
            help="The images, one a line; the lists in test_split/ beside it name their scenarios.",
        ),
    ]
    predictions: Predictions
    annotations: Annotations
    iou: Annotated[float, typer.Option(metavar="X", help="A lane is found above it.")] = 0.5
    width: Annotated[int, typer.Option(metavar="N", help="Of drawn lanes in pixels.")] = 30
    size: Annotated[
        Size,
        size_option("Of the images (default: 1640x590).", default_factory=lambda: "1640x590", show_default=False),
    ]
    jobs: Jobs = 1

    def answer(self) -> Answer:
        from sfcore.cli.evaluate_files import score_culane

        return score_culane(self)


@dataclass(frozen=True, kw_only=True)
class CurveLanes(Evaluation):
    """Score a folder of .lines.json predictions as CurveLanes does."""

    predictions: Predictions
    annotations: Annotations
    list_file: Annotated[
        str | None, typer.Option("--list", metavar="FILE", help="The images, one a line (default: all labelled).")
    ] = None
    size: Annotated[
        Size | None,
        size_option("Of the images (default: read from each, beside its label or in ../images)."),
    ] = None
    jobs: Jobs = 1

    def answer(self) -> Answer:
        from sfcore.cli.evaluate_files import score_curvelanes

        return score_curvelanes(self)


@dataclass(frozen=True, kw_only=True)
class TuSimple(Evaluation):
    """Score a file of predictions as TuSimple's lane.py does."""

    predictions: Annotated[str, typer.Option(metavar="FILE", help="One JSON object a line.")]
    labels: Annotated[str, typer.Option(metavar="FILE", help="Such as test_label.json.")]

    def answer(self) -> Answer:
        from sfcore.cli.evaluate_files import score_tusimple

        return score_tusimple(self)


@dataclass(frozen=True, kw_only=True)
class OverDataset(SharedCommand, Evaluation):
    """An evaluation of models over a whole dataset."""

    dataset: Annotated[str, typer.Option(metavar="DIR", help="A folder in one of the known layouts.")]
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets the predictions and scores.json.")]
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of it (default: the one results are reported on).")
    ] = None
    layout: Annotated[
        str | None, typer.Option(help="The dataset's layout, where it cannot be told from its files.")
    ] = None
    metric: Annotated[str | None, typer.Option(help="Another metric than the dataset's own.")] = None
    limit: Annotated[int | None, typer.Option(metavar="N", help="At most N frames, alike of each scenario.")] = None


@dataclass(frozen=True, kw_only=True)
class OfDetector(OverDataset):
    """Score a detector on a dataset; run again to go on."""

    detector: Detector
    weights: Weights = None
    weights_key: WeightsKey = None

    def answer(self) -> Answer:
        from sfcore.cli.evaluate import score_detector

        return score_detector(self)


@dataclass(frozen=True, kw_only=True)
class OfRun(OverDataset):
    """Score a run's full-precision, calibrated and tuned detector."""

    run: Run

    def answer(self) -> Answer:
        from sfcore.cli.evaluate import score_run

        return score_run(self)


app = group(
    "Score predictions by a benchmark's official metric, or a detector or a run over a whole dataset.",
    {"culane": CuLane, "curvelanes": CurveLanes, "tusimple": TuSimple, "detector": OfDetector, "run": OfRun},
)
