"""``sfcore evaluate detector`` and ``run``: over a whole dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfcore.cli.commands.evaluate import OfDetector, OfRun, OverDataset
from sfcore.cli.console import Answer, Progress, table, with_problems
from sfcore.cli.crew import about_model, crew_of
from sfcore.cli.runs import find_run
from sfcore.datasets.dataset import Dataset
from sfcore.datasets.source import source_of
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import Evaluation, evaluate, labelled, predict, weights_hash
from sfcore.evaluation.metric import Score, nothing_to_find
from sfcore.files import explained, parse_json, plain, read_text, write_json
from sfcore.names import printable
from sfcore.runs.detection_shards import chosen, predict_in_shards
from sfcore.runs.results import ModelName, load_model, models_of

WORST = 20  # frames that are named
FULL = "full"


def score_detector(arguments: OfDetector) -> Answer:
    """Score a detector on a dataset."""
    device = resolve_device(arguments.device)
    about = about_model(arguments.detector, arguments.weights, arguments.weights_key)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    return _over_dataset(arguments, {FULL: detector}, {FULL: about})


def score_run(arguments: OfRun) -> Answer:
    """Score each of a run's models on a dataset."""
    folder, device = find_run(arguments.run), resolve_device(arguments.device)
    names: list[ModelName] = ["full", *models_of(folder)]
    about: dict[str, dict[str, Any]] = {name: {"run": str(folder.path.resolve()), "model": name} for name in names}
    return _over_dataset(arguments, {name: load_model(folder, name, device) for name in names}, about)


def _over_dataset(
    arguments: OverDataset, models: Mapping[str, Detector], about: Mapping[str, Mapping[str, Any]]
) -> Answer:
    """Predict and score with each model; the quantized ones also against the full-precision predictions.

    Args:
        about: how a worker makes each model: see :func:`model_of`.
    """
    crew = crew_of(arguments)
    dataset = labelled(chosen({**_where(arguments), "root": arguments.dataset}), next(iter(models.values())).task)
    out = Path(arguments.out)
    _claim(out, dataset, models)
    filed = {name: dataset.predictions(out / name) for name in models}
    problems: dict[str, str] = {}
    content: dict[str, Any] = {"dataset": str(dataset.root), "split": dataset.split, "models": {}}
    scored = True
    with Progress() as progress:
        for name, model in models.items():
            watch = progress.phase_of(f"predicting, {name}")
            if crew.alone:
                problems |= predict(model, dataset, filed[name], watch)
            else:
                request = {"dataset": _where(arguments), "model": dict(about[name]), "device": arguments.device}
                problems |= predict_in_shards(crew, out, request, dataset, filed[name], watch)
        for name in models:
            found = evaluate(dataset, filed[name], None, arguments.metric, progress.phase_of(f"scoring, {name}"))
            problems = found.problems | problems  # an image's own problem says more than that it has no prediction
            content["models"][name] = _summary(found)
            scored = scored and bool(found.frames)
            if name != FULL:
                agreed = evaluate(dataset, filed[name], filed[FULL], arguments.metric, progress.phase_of("agreement"))
                content["models"][name]["agreement"] = _figures(agreed)
    content |= {"metric": found.metric, "images": len(dataset.frames)}
    text = f"{_tables(content['models'], found.headline)}\n\npredictions and scores.json are in {printable(out)}"
    content["problems"] = [*dataset.problems, *problems.values()]
    write_json(out / "scores.json", plain(content))
    return with_problems(content, text, arguments.allow_missing, scored)


def _where(arguments: OverDataset) -> dict[str, Any]:
    root = Path(arguments.dataset)
    root = root.resolve() if source_of(root).plain else root  # for workers begin in folders of their own
    return {"root": str(root), **{key: getattr(arguments, key) for key in ("split", "layout", "limit")}}


def _claim(out: Path, dataset: Dataset, models: Mapping[str, Detector]) -> None:
    """Note whose predictions a folder holds, so that those of others are not taken for them.

    Raises:
        InputError: it holds predictions of another model or for another dataset.
    """
    hashes = {name: weights_hash(model) for name, model in models.items()}
    root = dataset.root.resolve() if source_of(dataset.root).plain else dataset.root
    claim = {"dataset": str(root), "split": dataset.split, "weights": hashes}
    note_file = out / "of.json"
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    held = _held(note_file) if note_file.is_file() else claim
    if held != claim:
        raise InputError(f"{out} holds predictions of another model or for another dataset: choose another --out")
    write_json(note_file, claim)


def _held(note_file: Path) -> Any:
    text = read_text(note_file)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(f"{note_file} is damaged: choose another --out") from error


def _figures(found: Evaluation) -> dict[str, Any]:
    return {"total": found.total, "scenarios": found.scenarios}


def _summary(found: Evaluation) -> dict[str, Any]:
    return {**_figures(found), "worst": found.worst(WORST)}


def _tables(models: Mapping[str, Mapping[str, Any]], headline: str) -> str:
    """The figures of all models, then the headline figure of each scenario as in the paper's table 4."""
    totals, parts = [], []
    for name, found in models.items():
        for against, figures in (("labels", found), (FULL, found.get("agreement"))):
            if figures:
                totals.append({"model": name, "against": against, **figures["total"]})
                parts.append({"model": name, "against": against, **scenario_row(figures["scenarios"], headline)})
    scenarios = (
        f"\n\n{headline} by scenario\n{table(parts)}" if any(found["scenarios"] for found in models.values()) else ""
    )
    return table(totals) + scenarios


def scenario_row(scenarios: Mapping[str, Score], headline: str) -> dict[str, Any]:
    """The headline figure of each scenario; of one without any labelled lane, such as crossroads, the false ones."""
    return {
        f"{name} (fp)" if empty else name: int(score["fp"]) if empty else score[headline]
        for name, score in scenarios.items()
        for empty in [nothing_to_find(score)]
    }
