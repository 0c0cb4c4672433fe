"""Carrying out one cell: its run, by the worker of all runs, then its tuned model on unseen images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sfcore.bench.plan import Cell
from sfcore.bench.sources import Source, Unseen, unseen
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.evaluation.evaluate import figures_of
from sfcore.evaluation.inference import decoded, predictions_of
from sfcore.evaluation.metric import METRICS
from sfcore.files import write_atomic, write_json
from sfcore.runs import RunFolder, create_or_resume
from sfcore.runs.folder import Status
from sfcore.runs.results import load_model
from sfcore.runs.worker import work

VERDICTS = "unseen.json"  # in the run folder
CURVES = ("curves.csv", "curves.json")  # in this order: the session looks for the second
KEPT = 4  # full-precision predictions in memory: of one or two detectors on a few sources


@dataclass(frozen=True)
class Verdict:
    """A tuned model on one source of unseen images.

    Attributes:
        image_hash: of the images.
        images: how many.
        f1, distortion, shift_px: of its agreement with full precision; the shift where it is in pixels.
        metric: the labels' official metric; None where there are no labels.
        labels, full_labels: its figure for the tuned model, and for full precision.
    """

    image_hash: str
    images: int
    f1: float
    distortion: float
    shift_px: float | None
    metric: str | None = None
    labels: float | None = None
    full_labels: float | None = None


Carry = Callable[[Cell, Path | None, tuple[Source, ...]], Status]


def carry_out(
    cell: Cell, curves_from: Path | None, sources: tuple[Source, ...], patience: float | None = None
) -> Status:
    """Work on a cell until its run is done and judged, or asked to stop.

    Args:
        curves_from: a run folder with the noise-score curves that the cell needs, so that they are measured once.
        patience: of a worker on a cluster: see :func:`sfcore.runs.worker.work`.

    Raises:
        InputError: the run cannot be carried out; its folder says so too.
    """
    folder = create_or_resume(cell.path, cell.spec)
    if curves_from:
        for name in CURVES:
            write_atomic(folder.path / name, (curves_from / name).read_bytes())
    status = work(folder, patience=patience)
    if status == "done":
        judge(folder, sources)
    return status


def is_finished(cell: Cell, sources: Sequence[Source]) -> bool:
    """Whether a cell's run is done and judged on the images that the sources hold now."""
    if not (cell.path / "run.json").exists() or RunFolder.open(cell.path).status != "done":
        return False
    found = verdicts(cell.path)
    return all(source.name in found and found[source.name].image_hash == unseen(source).hash for source in sources)


def verdicts(path: Path) -> dict[str, Verdict]:
    """What :func:`judge` wrote into a run folder, by the names of the sources; empty where it has written nothing."""
    if not (path / VERDICTS).is_file():
        return {}
    return {name: Verdict(**found) for name, found in json.loads((path / VERDICTS).read_text()).items()}


def judge(folder: RunFolder, sources: Sequence[Source]) -> None:
    """Compare a run's tuned model with full precision, and with labels where there are some; write it down."""
    spec = folder.spec
    device = str(resolve_device(spec.device))
    model = load_model(folder, "tuned", device)
    judged = {}
    for source in sources:
        images = unseen(source)
        full = _full(spec.detector, spec.weights, spec.weights_key, device, source)
        found, labels = _judged(model, images)
        agreed = model.task.agreement(full.prediction, found)
        shift = None if math.isnan(agreed.shift) or agreed.unit != "px" else agreed.shift
        verdict = Verdict(images.hash, len(images.files), agreed.f1, agreed.distortion, shift)
        if labelled := images.labelled(model.task_name):
            verdict = replace(verdict, metric=labelled[0][0].metric, labels=labels, full_labels=full.labels)
        judged[source.name] = asdict(verdict)
    write_json(folder.path / VERDICTS, judged)


@dataclass(frozen=True)
class _Full:
    """The full-precision prediction, and its headline score against labels where there are some."""

    prediction: Any
    labels: float | None


@lru_cache(KEPT)
def _full(detector: str, weights: str | None, key: str | None, device: str, source: Source) -> _Full:
    return _Full(*_judged(registry.create(detector, weights, device, key), unseen(source)))


def _judged(model: Detector, images: Unseen) -> tuple[Any, float | None]:
    """A model's prediction, and the headline figure of the labels' official metric where there are some."""
    labelled = images.labelled(model.task_name)
    if not labelled:
        return predictions_of(model, images.files), None
    metric = METRICS[labelled[0][0].metric]
    found, ranked = decoded(model, images.files, [model.decode, model.candidates if metric.ranked else model.decode])
    return found, figures_of(model.task, labelled, ranked)[metric.headline]
