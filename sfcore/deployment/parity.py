"""Whether engines give what the simulation promises: each against full precision, beside how far the simulation differs
from itself.

Simulation and engine are two draws of the same rounding noise, so their outputs are not asked to be equal: what counts
is each one's prediction against the full-precision one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfcore.deployment.arithmetic import ARITHMETICS, Evaluate, one_by_one, thread_count
from sfcore.deployment.latency import Latency
from sfcore.deployment.running import running
from sfcore.detectors.base import Detector, Outputs
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.evaluation.inference import input_batches
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.sensitivity.noise import relative_noise
from sfcore.tasks.base import Agreement

FULL, SIMULATION = "full precision", "simulation"
MORE_DISTORTION, SOME_DISTORTION, LESS_F1 = 0.10, 0.5, 0.01  # what an engine may be worse by and still keep its promise
FORMATS = {"onnx": "model.onnx", "onnx-fp32": "model-fp32.onnx"}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Parity:
    """What each way of running a quantized network predicts.

    Attributes:
        images: how many frames were seen.
        engines: agreement with full precision of the simulation and of each engine.
        failed: why engines did not run, by name.
        repeatability: agreement with the simulation of the same model under other arithmetics.
        between: agreement of each two, as "simulation|openvino".
        heads: relative error of each head's output against full precision: its noise level.
        latency: of each engine: quantized and in full precision, with one thread and with all.
        bytes: of the quantized file and of that in full precision.
        before: agreement of the calibrated model, where the run tuned one.
    """

    images: int
    engines: dict[str, Agreement]
    failed: dict[str, str]
    repeatability: dict[str, Agreement]
    between: dict[str, Agreement]
    heads: dict[str, dict[str, float]]
    latency: dict[str, dict[str, Latency]]
    bytes: dict[str, int]
    before: Agreement | None = None

    def keeps(self, engine: str) -> bool:
        """Whether an engine is about as good as the simulation: its distortion at most 10 % or 0.5 above, its F1 at
        most .01 below."""
        promised, found = self.engines[SIMULATION], self.engines[engine]
        most = max(promised.distortion * (1 + MORE_DISTORTION), promised.distortion + SOME_DISTORTION)
        return found.distortion <= most and found.f1 >= promised.f1 - LESS_F1

    def within_noise(self, engine: str) -> bool:
        """Whether an engine lies no further from the simulation than this lies from itself: no difference that counts,
        whatever it does to the figures."""
        own = max((each.distortion for each in self.repeatability.values()), default=0.0)
        return self.between[f"{SIMULATION}|{engine}"].distortion <= own

    def verdicts(self) -> list[str]:
        """A sentence about each engine."""
        return [self._verdict(name) for name in self.engines if name != SIMULATION] + [
            f"{name} does not run it: {why}" for name, why in self.failed.items()
        ]

    def _verdict(self, engine: str) -> str:
        promised, found = self.engines[SIMULATION], self.engines[engine]
        said = f"F1 {found.f1:.2f} of {promised.f1:.2f}, distortion {found.distortion:.1f} of {promised.distortion:.1f}"
        if not self.keeps(engine) and self.within_noise(engine):
            return f"{engine} differs from the simulation by no more than this differs from itself: {said}"
        if not self.keeps(engine):
            return (
                f"{engine} does not keep what the simulation promises: {said}; on more frames it may, with "
                "another target, with residual adds quantized (-adds), or in another engine"
            )
        what = "what tuning gained" if self.before and self.before.f1 < found.f1 else "what the simulation promises"
        b = self.before
        was = f"; calibrated alone: F1 {b.f1:.2f}, distortion {b.distortion:.1f}" if b else ""
        return f"{engine} keeps {what}: {said}{was}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        engines: dict[str, Any] = {name: found.to_dict() for name, found in self.engines.items()}
        engines |= {name: {"error": why} for name, why in self.failed.items()}
        latency = {
            name: found["quantized"].to_dict() | {what: each.to_dict() for what, each in found.items()}
            for name, found in self.latency.items()
        }
        return {
            "images": self.images, "engines": engines, "latency": latency, "heads": self.heads, "bytes": self.bytes,
            "repeatability": {name: found.to_dict() for name, found in self.repeatability.items()},
            "between": {name: found.to_dict() for name, found in self.between.items()},
            "before": self.before.to_dict() if self.before else None, "verdicts": self.verdicts(),
        }  # fmt: skip


@dataclass
class Seen:
    """What ways of running a network predict about the frames seen so far."""

    detector: Detector
    predictions: dict[str, list[Any]] = field(default_factory=dict)
    noise: dict[str, dict[str, float]] = field(default_factory=dict)

    def take(self, name: str, outputs: Outputs, full: Outputs) -> None:
        self.predictions.setdefault(name, []).append(self.detector.decode(outputs).to("cpu"))
        levels = self.noise.setdefault(name, dict.fromkeys(full, 0.0))
        for head, right in full.items():
            levels[head] += relative_noise(outputs[head], right) * len(right)


def check(
    subject: Subject,
    files: Sequence[Path],
    engines: Sequence[str],
    before: Detector | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Export a quantized network and run it in engines, in the simulation, and under other arithmetics.

    Args:
        before: the model before tuning, where there is one.

    Raises:
        InputError: there is no such engine or a package is missing, nothing is quantized, or an image cannot be read.
    """
    loaders = {name: ENGINES[name] for name in engines}
    model = subject.needs_quantized()
    with tempfile.TemporaryDirectory(prefix="sfcore-deploy-") as folder:
        made = export(subject, list(FORMATS), Path(folder))
        sizes = {each["format"]: int(each["bytes"]) for each in made.files}
        failed = dict[str, str]()
        ways: dict[str, Evaluate] = {SIMULATION: one_by_one(model)}
        for name, load in loaders.items():
            try:
                ways[name] = running(model, load(Path(folder, FORMATS["onnx"]), 0))
            except InputError as error:
                failed[name] = str(error)
        others = {name: make(model) for name, make in ARITHMETICS.items()}
        extra = {"before": one_by_one(before)} if before is not None else {}
        seen = run_each(subject.detector, ways | others | extra, files, failed, progress)
        latency = _latencies(subject, Path(folder), [n for n in ways if n not in failed], files[0], progress)
    return _judged(subject.detector, seen, failed, list(ways), latency, sizes, len(files))


@torch.no_grad()
def run_each(
    detector: Detector,
    ways: Mapping[str, Evaluate],
    files: Sequence[Path],
    failed: dict[str, str],
    progress: Progress | None = None,
) -> Seen:
    """Every frame, every way, and full precision; a way that fails is left out from then on, and why is put in
    ``failed`` under its name."""
    seen, full = Seen(detector), one_by_one(detector)
    for done, inputs in input_batches(detector, files):
        right = full(inputs)
        seen.take(FULL, right, right)
        for name, run in ways.items():
            if name in failed:
                continue
            try:
                seen.take(name, run(inputs), right)
            except InputError as error:
                failed[name] = str(error)
        if progress:
            progress("running", done, len(files))
    return seen


def _judged(
    detector: Detector,
    seen: Seen,
    failed: dict[str, str],
    ways: Sequence[str],
    latency: dict[str, dict[str, Latency]],
    sizes: dict[str, int],
    images: int,
) -> Parity:
    task = detector.task
    found = {name: task.join(each) for name, each in seen.predictions.items() if name not in failed}
    ran = [name for name in ways if name not in failed]
    full, simulated = found[FULL], found[SIMULATION]
    return Parity(
        images,
        {name: task.agreement(full, found[name]) for name in ran},
        failed,
        {name: task.agreement(simulated, found[name]) for name in ARITHMETICS},
        {f"{a}|{b}": task.agreement(found[a], found[b]) for a, b in combinations(ran, 2)},
        {name: {head: level / images for head, level in seen.noise[name].items()} for name in ran},
        latency,
        sizes,
        task.agreement(full, found["before"]) if "before" in found else None,
    )


def _latencies(
    subject: Subject, folder: Path, ways: Sequence[str], file: Path, progress: Progress | None
) -> dict[str, dict[str, Latency]]:
    """Of each engine, one at a time: both files, with one thread and with all."""
    spec = subject.detector.preprocessing
    image = spec([spec.read(file)])
    found: dict[str, dict[str, Latency]] = {}
    for done, name in enumerate(ways, 1):
        found[name] = _simulated(subject, image) if name == SIMULATION else _of_engine(name, folder, image)
        if progress:
            progress("timing", done, len(ways))
    return found


def _of_engine(name: str, folder: Path, image: Tensor) -> dict[str, Latency]:
    pixels, found = image.numpy(), dict[str, Latency]()
    for kind, file in (("quantized", FORMATS["onnx"]), ("fp32", FORMATS["onnx-fp32"])):
        for how, threads in (("", 1), (", all threads", 0)):
            session = ENGINES[name](folder / file, threads)
            found[kind + how] = Latency.of(lambda session=session: session(pixels))  # type: ignore[misc]
    return found


@torch.no_grad()
def _simulated(subject: Subject, image: Tensor) -> dict[str, Latency]:
    found: dict[str, Latency] = {}
    every = torch.get_num_threads()
    for kind, model in (("quantized", subject.needs_quantized()), ("fp32", subject.detector)):
        for how, threads in (("", 1), (", all threads", every)):
            with thread_count(threads):
                found[kind + how] = Latency.of(lambda model=model: model(image))  # type: ignore[misc]
    return found
