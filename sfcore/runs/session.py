"""Making a run ready and bringing it home: images, calibrated model, curves, tuner; then results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from sfcore.datasets.images import ImageSet, content_hash, evenly, find_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.distil.images import NOT_JUDGED, distilled_set, is_distilled
from sfcore.errors import InputError
from sfcore.files import write_json
from sfcore.inputs.base import InputSpec
from sfcore.quant import quantize
from sfcore.quant.cost import Profile
from sfcore.quant.inference import run
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.runs import preview
from sfcore.runs.events import CALIBRATING, MEASURING, READING, RENDERING
from sfcore.runs.folder import RunFolder
from sfcore.runs.protocol import Report
from sfcore.runs.results import quantized_model, recorded_cost
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves
from sfcore.tasks.base import Task
from sfcore.tasks.likeness import likeness

BATCH = 8  # images that a calibration step sees at once
HELD_BACK = 8  # every source's last 1/8 is held back from calibration and tuning where nothing else is said
MOST_HELD_BACK = 48  # more make the checks slow and decide nothing
CALIBRATION_IMAGES = 512  # at most, as published
ALIKE = 32  # random images whose likeness is measured
SHOWN = 16  # held-back images whose predictions are kept


@dataclass(frozen=True)
class TuningSession:
    """A run made ready.

    Attributes:
        detector: as it was loaded; the file may be another when the run ends.
        tuner: with the calibrated model in it, ready for its first step.
        held_back: the held-back frames, in the tuner's order.
    """

    detector: Detector
    tuner: Tuner
    held_back: tuple[Path, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What stays in full precision; on what the run judges itself, where that is not real; how much memory the
        cached activations need, and where they go."""
        left = [f"{name} stays in full precision: {why}" for name, why in self.tuner.quantized.full_precision.items()]
        left += [NOT_JUDGED] if any(map(is_distilled, self.held_back)) else []
        return (*left, str(self.tuner.plan)) if self.tuner.plan.needed else tuple(left)

    def look(self, folder: RunFolder) -> None:
        """Write down what is predicted about the held-back frame that has most, so that there is something to see."""
        tuner, detector = self.tuner, self.tuner.detector
        reference = detector.decode(tuner.reference)
        chosen = int(reference.counts().argmax())
        if not folder.preview.size:
            spec = detector.preprocessing
            picture = spec.canvas(spec.read(self.held_back[chosen]))
            preview.begin(folder, detector.task, picture, reference[chosen])
        found = detector.decode(run(tuner.quantized, tuner.held_back[chosen : chosen + 1]))
        preview.add(folder, detector.task, tuner.iteration, found)

    def finish(self, folder: RunFolder) -> None:
        """Keep the best model, its predictions and their agreement with full precision on the held-back frames."""
        tuner, task = self.tuner, self.detector.task
        tuner.keep_best()
        folder.save_tensors("model", tuner.quantized.state_dict())
        calibrated = quantized_model(folder, "calibrated", self.detector)
        decode = tuner.detector.decode
        found = {
            "full": decode(tuner.reference).to("cpu"),
            "calibrated": decode(run(calibrated, tuner.held_back)).to("cpu"),
            "tuned": decode(run(tuner.quantized, tuner.held_back)).to("cpu"),
        }
        write_json(folder.path / f"{task.words.plural}.json", _recorded(task, self.held_back[:SHOWN], found))
        quantized = ("calibrated", "tuned")
        folder.update(result={name: task.agreement(found["full"], found[name]).to_dict() for name in quantized})


def build(folder: RunFolder, report: Report) -> TuningSession:
    """Make a run ready; what an earlier start of the run has written is used again.

    Raises:
        InputError: the specification is wrong, an image cannot be read, or images or weights have changed
            since the run began.
        Stopped: out of ``report``.
    """
    spec = folder.spec
    spec.validate()
    recipe: Recipe = spec.settings()
    detector = registry.create(spec.detector, spec.weights, resolve_device(spec.device), spec.weights_key)
    chosen = distilled_set(detector, spec.image_set(), report)
    _check_unchanged(folder, chosen.files)
    _note_cost(folder, detector)
    rendered = _rendered(recipe.rendered, spec.seed, detector.preprocessing)
    pixels, sources = _read(detector.preprocessing, chosen, rendered, report)
    tuned_on, held_back = split(sources, spec.seed)
    if not folder.has_tensors("calibrated"):
        batches = _Batches(detector, pixels[tuned_on[:CALIBRATION_IMAGES]])
        how = (spec.weight_calibrator, spec.activation_calibrator, spec.bias_correction)
        model = quantize(detector, spec.full_scheme(), batches, *how, _phase(report, CALIBRATING), spec.transforms)
        folder.save_tensors("calibrated", model.state_dict())
        if model.transform_notes:
            folder.update(transform_notes=list(model.transform_notes))
        report(CALIBRATING, len(batches), len(batches))  # only now: biases are corrected after the last batch
    quantized = quantized_model(folder, "calibrated", detector)
    curves = None
    if recipe.needs_curves:
        curves = _curves(folder, detector, pixels[tuned_on], spec.seed, report)
    files = (*chosen.files, *rendered)
    tuner = Tuner(detector, quantized, pixels[tuned_on], pixels[held_back], recipe, curves, spec.seed)
    folder.update(
        full_precision=dict(quantized.full_precision),
        likeness=likeness(detector.task, detector.decode(run(detector, pixels[tuned_on[:ALIKE]]))),
        image_bytes=[pixels[0].nbytes, tuner.plan.needed // len(tuned_on)],  # its pixels, its cached activations
    )
    return TuningSession(detector, tuner, tuple(files[index] for index in held_back))


def split(sources: Sequence[int], seed: int, share: int = HELD_BACK) -> tuple[list[int], list[int]]:
    """Which images are calibrated and tuned on, in random order, and which are held back.

    The last part of every source is held back, because neighbouring frames of a clip are nearly alike: held
    back from its middle, they would say nothing about other frames. A single image serves as both.

    Args:
        sources: which source each image is of.
        share: one in so many images is held back.
    """
    held: list[int] = []
    for source in sorted(set(sources)):
        places = [index for index, of in enumerate(sources) if of == source]
        held += places[len(places) - len(places) // share :]
    held = held or [len(sources) - 1]
    rest = sorted(set(range(len(sources))) - set(held)) or held
    count = min(len(held), MOST_HELD_BACK)
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed)).tolist()
    return [rest[index] for index in order], evenly(held, count)


class _Batches(Sequence[Tensor]):
    """Preprocessed batches of stacked frames, made when they are asked for."""

    def __init__(self, detector: Detector, pixels: Tensor) -> None:
        self.detector, self.parts = detector, pixels.split(BATCH)

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        return self.detector.preprocessing.normalize(self.parts[index].to(self.detector.device))


def _phase(report: Report, phase: str) -> Callable[[int, int], None]:
    return lambda done, total: report(phase, done, total)


def _check_unchanged(folder: RunFolder, files: Sequence[Path]) -> None:
    """Write down what the run is made of at its first start; refuse another at later ones."""
    folder.check_weights()
    found, record = content_hash(files), folder.record()
    if record.get("image_hash", found) != found:
        raise InputError(f"the images of the run {folder.path} have changed since it began: start a new run")
    folder.update(images=len(files), image_hash=found, weights_hash=content_hash([folder.spec.weights_file()]))


def _rendered(count: int, seed: int, spec: InputSpec) -> list[Path]:
    """The scenes or sweeps that a run with this seed is calibrated on beside its images."""
    return find_images([f"{spec.rendered}:{count},seed={seed}"], formats=spec.formats) if count else []


def _note_cost(folder: RunFolder, detector: Detector) -> None:
    """Write down what the scheme costs the detector, at the run's first start."""
    if not recorded_cost(folder):
        scheme = folder.spec.full_scheme()
        folder.update(scheme=Profile.of(detector, folder.spec.transforms).cost(scheme).to_dict(scheme))


def _read(spec: InputSpec, chosen: ImageSet, rendered: Sequence[Path], report: Report) -> tuple[Tensor, list[int]]:
    """(N, ...) stacked frames as the network sees them, rendered scenes last, and the source of each."""
    parts = []
    for done, file in enumerate(chosen.files, 1):
        parts.append(spec.stack([spec.read(file)]))
        report(READING, done, len(chosen))
    for done, scene in enumerate(rendered, 1):
        parts.append(spec.stack([spec.read(scene)]))
        report(RENDERING, done, len(rendered))
    sources = [*chosen.source_index, *[max(chosen.source_index) + 1] * len(rendered)]
    return torch.cat(parts), sources


def _curves(folder: RunFolder, detector: Detector, pixels: Tensor, seed: int, report: Report) -> Curves:
    """The noise-score curves that the selection asks, measured once a run."""
    if (folder.path / "curves.json").is_file():
        return Curves.load(folder.path)
    settings = CurveSettings(seed=seed)
    outputs = run(detector, pixels[: settings.images])
    about = {"detector": folder.spec.detector, "image_hash": folder.record()["image_hash"]}
    curves = noise_score_curves(detector, outputs, settings, _phase(report, MEASURING), about=about)
    curves.save(folder.path)
    return curves


def _recorded(task: Task[Any], files: Sequence[Path], found: Mapping[str, Any]) -> dict[str, Any]:
    """What each model predicts about each held-back frame, in the detector's frame."""
    images = [
        {"file": str(file)} | {name: task.record(each, index) for name, each in found.items()}
        for index, file in enumerate(files)
    ]
    return {**task.about(found["full"]), "images": images}
