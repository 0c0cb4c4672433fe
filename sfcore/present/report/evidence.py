"""What a report is made of: each model's predictions on the same frames, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, layout_of, open_dataset, spread
from sfcore.datasets.images import FORMATS, find_images
from sfcore.datasets.source import is_there, source_parts
from sfcore.datasets.videos import is_video
from sfcore.deployment.parity import Parity, check
from sfcore.deployment.subjects import of_run
from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.evaluation.inference import input_batches
from sfcore.inputs.base import InputSpec
from sfcore.present.model_comparison import Comparison, Model, compare_models, compared_models, ranks
from sfcore.runs import RunFolder
from sfcore.runs.results import load_model, models_of
from sfcore.runs.shipped import ships
from sfcore.sensitivity.noise import relative_noise
from sfcore.tasks.base import Prediction, Task

Progress = Callable[[str, int, int], None]  # what is done, done, total
Levels = dict[str, dict[str, float]]  # "calibrated" or "tuned": noise level of each head
FRAMES = 20  # of a report, unless said otherwise
MEASURED = 8  # frames whose head outputs are kept to measure noise levels: they may be large


@dataclass(frozen=True)
class Evidence:
    """What a report is made of.

    Attributes:
        runs: one, or two of the same detector.
        models: all that are compared; full precision first.
        dataset: where the frames come from.
        comparison: the scores of the models on the frames.
        task: of the detector.
        reader: of its frames.
        predictions: of each model on all frames of ``comparison``, by the model's name.
        levels: the noise that quantization puts on the heads, for each run.
        heads: of the detector, in the order of its table.
        held_back: the frames are those that the first run held back from tuning.
        parity: what engines make of the first run's last model; None where none was asked.
    """

    runs: tuple[RunFolder, ...]
    models: tuple[Model, ...]
    dataset: Dataset
    comparison: Comparison
    task: Task[Any]
    reader: InputSpec
    predictions: dict[str, Any]
    levels: tuple[Levels, ...]
    heads: tuple[str, ...]
    held_back: bool
    parity: Parity | None = None


def gather(
    runs: Sequence[RunFolder],
    dataset: Dataset | None = None,
    frames: Sequence[Frame] | None = None,
    most: int = FRAMES,
    progress: Progress | None = None,
    engines: Sequence[str] = (),
) -> Evidence:
    """Run all models of one or two runs on some frames.

    Args:
        dataset: where the frames come from; None for the images that the first run held back.
        frames: of the dataset; None for ``most``, evenly spread.
        engines: that shall run the first run's last model, too.

    Raises:
        InputError: the runs cannot be compared, one has no model yet, or none of the frames can be read.
    """
    _check(runs)
    detector = entry(runs[0].spec.detector).build()
    task, reader = detector.task, detector.preprocessing
    source = dataset or held_back(runs[0], task)
    chosen, problems = _readable(reader, spread(source.frames, most) if frames is None else frames)
    models, heads = compared_models(*runs), tuple(head.name for head in detector.heads)
    said = partial(progress, f"detecting {task.words.plural}") if progress else None
    answers = _answers(runs[0], models, [frame.image for frame in chosen], ranks(task, source), said)
    predictions = {name: each.prediction for name, each in answers.items()}
    outputs = {name: each.outputs for name, each in answers.items()}
    ranked = {name: each.ranked for name, each in answers.items()}
    comparison = compare_models(task, source, chosen, predictions, problems, ranked)
    levels = tuple(_levels(models, outputs, run) for run in runs)
    own = dataset is None
    parity = _parity(runs[0], [frame.image for frame in chosen], engines, progress) if engines else None
    return Evidence(
        tuple(runs), tuple(models), source, comparison, task, reader, predictions, levels, heads, own, parity
    )


def _parity(run: RunFolder, files: Sequence[Path], engines: Sequence[str], progress: Progress | None) -> Parity:
    """What engines make of the last model of a run."""
    before = load_model(run, "calibrated") if models_of(run)[-1] != "calibrated" else None
    return check(of_run(run), files, engines, before, progress)


def source_of(text: str, formats: Collection[str] = FORMATS) -> Dataset:
    """The dataset that a source names, with its labels: a folder, dataset, video, image, or a part of one.

    Args:
        formats: suffixes of the files that the detector reads.

    Raises:
        InputError: nothing is there that can be read.
    """
    root, split, part = source_parts(text)
    if layout_of(root) or is_video(root):
        dataset = open_dataset(root, split)
        dataset.frames = list(dataset.frames)[part]
    else:
        dataset = _loose(root, find_images([text], formats=formats))
    if not dataset.frames:
        raise InputError(f"{text} selects no images: choose another part")
    return dataset


def held_back(run: RunFolder, task: Task[Any]) -> Dataset:
    """The images that a run held back from tuning, as far as they are still there.

    Raises:
        InputError: none is; the message says to name others.
    """
    try:
        content = json.loads((run.path / f"{task.words.plural}.json").read_text(encoding="utf-8"))
        files = [Path(image["file"]) for image in content["images"]]
    except (OSError, ValueError, KeyError, TypeError):
        files = []
    there = [file for file in files if is_there(file)]
    there = [] if ships(run) else there  # what is called like its images is not what it took
    if not there:
        raise InputError(f"the images that {run.name} held back are not where they were: choose images for the report")
    return _loose(run.path, there)


def _loose(root: Path, files: Sequence[Path]) -> Dataset:
    """Images without labels; those of the same name are told apart by their folders."""
    names = [file.name for file in files]
    frames = [Frame(file.name if names.count(file.name) == 1 else str(file), file) for file in files]
    return LAYOUTS["folder"](root, frames=frames)


def _check(runs: Sequence[RunFolder]) -> None:
    """One run, or two of the same detector with the same weights, each with a model."""
    if not 1 <= len(runs) <= 2:
        raise InputError(f"{len(runs)} runs were given: a report is about one, or compares two")
    for run in runs:
        if not models_of(run):
            raise InputError(f"the run {run.name} has no model yet (it is {run.status}): wait, or resume it")
    names = [(run.spec.detector, run.spec.weights, run.spec.weights_key) for run in runs]
    if len(set(names)) > 1:
        said = " and ".join(" with ".join(filter(None, name)) for name in names)
        raise InputError(f"these runs are of different detectors, {said}: choose two of the same")


def _readable(reader: InputSpec, frames: Sequence[Frame]) -> tuple[list[Frame], dict[str, str]]:
    """The frames whose images can be read, and what is wrong with the others, by their names."""
    kept, problems = [], {}
    for frame in frames:
        try:
            reader.read(frame.image)
            kept.append(frame)
        except InputError as error:
            problems[frame.name] = str(error)
    if not kept:
        first = next(iter(problems.values()), "choose other images")
        raise InputError(f"none of the {len(frames)} frames can be read: {first}")
    return kept, problems


@dataclass(frozen=True)
class _Answer:
    """What a model says of all files.

    Attributes:
        prediction: as it is decoded.
        ranked: the same with unsure objects where they are asked for.
        outputs: of the first MEASURED of the files.
    """

    prediction: Any
    ranked: Any
    outputs: Outputs


def _answers(
    run: RunFolder,
    models: Sequence[Model],
    files: Sequence[Path],
    unsure: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, _Answer]:
    """What each model says, by its name; models of no run have the weights of ``run``."""
    found = {}
    for place, model in enumerate(models):

        def report(done: int, before: int = place * len(files)) -> None:
            if progress:
                progress(before + done, len(models) * len(files))

        found[model.name] = _answer(load_model(model.run or run, model.which), files, unsure, report)
    return found


@torch.no_grad()
def _answer(detector: Detector, files: Sequence[Path], unsure: bool, report: Callable[[int], None]) -> _Answer:
    found, ranked, first = list[Prediction](), list[Prediction](), Outputs()
    for done, inputs in input_batches(detector, files, MEASURED):
        outputs = detector(inputs)
        found.append(detector.decode(outputs).to("cpu"))
        ranked.append(detector.candidates(outputs).to("cpu") if unsure else found[-1])
        first = first or outputs
        report(done)
    return _Answer(detector.task.join(found), detector.task.join(ranked), first)


def _levels(models: Sequence[Model], outputs: dict[str, Outputs], run: RunFolder) -> Levels:
    """The noise level of each head in each model of a run."""
    full = outputs[models[0].name]
    return {
        model.which: {head: relative_noise(outputs[model.name][head], full[head]) for head in full}
        for model in models
        if model.run is run
    }
