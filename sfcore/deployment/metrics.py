"""The official metric of what engines find, on labelled frames."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sfcore.datasets.dataset import Dataset, spread
from sfcore.deployment.parity import FORMATS, FULL, SIMULATION
from sfcore.deployment.running import running
from sfcore.detectors.base import Detector
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import Evaluation, evaluate, predict
from sfcore.export.base import Subject
from sfcore.export.files import export

Progress = Callable[[str, int, int], None]


def scored(
    subject: Subject, dataset: Dataset, engines: Sequence[str], limit: int, progress: Progress | None = None
) -> dict[str, Evaluation]:
    """What full precision, the simulation and each engine that runs score on at most ``limit`` frames of a dataset.

    Raises:
        InputError: there is no such engine, or the dataset has no labels.
    """
    few = copy.copy(dataset)
    few.frames = spread(dataset.frames, limit)
    with tempfile.TemporaryDirectory(prefix="sfcore-deploy-") as name:
        folder = Path(name)
        models = _models(subject, engines, folder)
        return {way: _scored(way, model, few, folder / "found" / way, progress) for way, model in models.items()}


def _models(subject: Subject, engines: Sequence[str], folder: Path) -> Mapping[str, Detector]:
    found = {FULL: subject.detector, SIMULATION: subject.needs_quantized()}
    export(subject, ["onnx"], folder)
    for name in engines:
        try:
            found[name] = running(subject.detector, ENGINES[name](folder / FORMATS["onnx"], 0))
        except InputError:
            if name not in ENGINES.names():
                raise
    return found


def _scored(way: str, model: Detector, dataset: Dataset, out: Path, progress: Progress | None) -> Evaluation:
    filed = dataset.predictions(out)
    predict(model, dataset, filed, progress and (lambda done, total: progress(f"scoring, {way}", done, total)))
    return evaluate(dataset, filed)
