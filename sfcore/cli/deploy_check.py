"""``sfcore deploy-check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.cli.commands.deploy_check import DeployCheck
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.export import subject_of
from sfcore.cli.runs import find_run
from sfcore.cli.tune import agreement_cells
from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.images import find_images
from sfcore.deployment.metrics import scored
from sfcore.deployment.parity import Parity, check
from sfcore.detectors.base import Detector
from sfcore.distil.images import with_distilled
from sfcore.errors import InputError
from sfcore.export.base import Subject
from sfcore.runs.results import load_model

CODE = 1  # where an engine does not run, or does not keep what the simulation promises, and noise is no excuse


def run(arguments: DeployCheck) -> Answer:
    """Run a quantized network in engines, and judge each against full precision."""
    own = arguments.weights, arguments.weights_key
    subject = subject_of(arguments.run, arguments.bits, arguments.calibration or (), own)
    files = find_images(arguments.images, arguments.limit, subject.detector.preprocessing.formats)
    before = _before(arguments.run) if subject.about.get("model") == "tuned" else None
    with Progress() as progress:
        files = with_distilled(subject.detector, files, progress)
        found = check(subject, files, arguments.engines, before, progress)
        figures = _figures(subject, arguments, progress) if arguments.dataset else {}
    broken = [name for name in found.engines if not found.keeps(name) and not found.within_noise(name)]
    content = found.to_dict() | {"scheme": subject.about["scheme"], "metrics": figures}
    scores = table([{"against labels": name, **each} for name, each in figures.items()])
    return Answer(content, "\n\n".join(filter(None, [_text(found), scores])), CODE if broken or found.failed else 0)


def _figures(subject: Subject, arguments: DeployCheck, progress: Progress) -> dict[str, Any]:
    """The official metric of each way to run the network."""
    dataset = open_dataset(Path(arguments.dataset or ""), None, None)
    found = scored(subject, dataset, arguments.engines, arguments.limit, progress)
    return {name: dict(each.total) for name, each in found.items()}


def _before(name: str) -> Detector | None:
    try:
        return load_model(find_run(name), "calibrated")
    except InputError:
        return None


def _text(found: Parity) -> str:
    """Tables for people."""
    engines, again = (
        [{title: name, **agreement_cells(each.to_dict())} for name, each in agreed.items()]
        for title, agreed in (
            ("against full precision", found.engines), ("against the simulation", found.repeatability)
        )
    )  # fmt: skip
    times = [_times(name, each) for name, each in found.latency.items()]
    ratio = found.bytes["onnx"] / found.bytes["onnx-fp32"]
    size = f"the file has {found.bytes['onnx'] / 1e6:.2f} MB, {ratio:.2f} of that in full precision"
    machine = "milliseconds an image on this machine; other hardware differs"
    return "\n\n".join([table(engines), table(again), f"{table(times)}\n{machine}", size, *found.verdicts()])


def _times(name: str, found: dict[str, Any]) -> dict[str, Any]:
    one, fp32 = found["quantized"], found["fp32"]
    return {
        "one thread": name, "median": one.median_ms, "95 %": one.p95_ms, "fp32": fp32.median_ms,
        "all threads": found["quantized, all threads"].median_ms, "fp32, all": found["fp32, all threads"].median_ms,
    }  # fmt: skip
