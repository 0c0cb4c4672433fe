"""What is exported: a run's model, or a detector calibrated on the spot, with what its files tell of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import torch

import sfcore
from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.distil.images import Report, with_distilled
from sfcore.errors import InputError
from sfcore.export.base import Subject
from sfcore.quant import Scheme, quantize
from sfcore.quant.cost import Profile
from sfcore.runs import RunFolder
from sfcore.runs.results import FILES, ModelName, cost_of, load_model, models_of

CALIBRATION_IMAGES = 64
BATCH = 8


@dataclass(frozen=True)
class Choice:
    """How something is exported; see :class:`sfcore.export.base.Subject`."""

    opset: int = 21
    batch: int | str = 1


USUAL = Choice()


def of_run(folder: RunFolder, choice: Choice = USUAL, which: ModelName | None = None) -> Subject:
    """The tuned model of a run, or the calibrated one where it only calibrated.

    Raises:
        InputError: the run is not done, or its files are missing or damaged.
    """
    if folder.status != "done":
        raise InputError(
            f"the run {folder.path} is {folder.status}, not done: let it finish (sfcore tune), or resume it"
        )
    which = which or models_of(folder)[-1]
    full, spec, record = load_model(folder, "full"), folder.spec, folder.record()
    about = _about(spec.detector, full) | {
        "scheme": _scheme(spec.full_scheme(), cost_of(folder).to_dict(spec.full_scheme())),
        "method": spec.method,
        "model": which,
        "metrics": dict(record.get("result", {}).get("calibrated" if which == "calibrated" else "tuned", {})),
        "hashes": {"weights": record.get("weights_hash", ""), "images": record.get("image_hash", "")}
        | {"model": content_hash([folder.path / f"{FILES[which]}.safetensors"])},
    }
    return _subject(full, load_model(folder, which), spec.full_scheme(), about, choice)


def of_detector(
    name: str,
    weights: str | None = None,
    weights_key: str | None = None,
    scheme: Scheme | None = None,
    images: Sequence[str] = (),
    choice: Choice = USUAL,
    report: Report | None = None,
) -> Subject:
    """A detector in full precision; with a scheme and images also its copy, calibrated on at most 64 of these.

    Args:
        report: called with (phase, done, total) while images are distilled.

    Raises:
        InputError: there is no such detector, an image cannot be read, or of scheme and images one is missing.
    """
    if (scheme is None) != (not images):
        raise InputError(
            "a detector is calibrated with both --bits and --images (--calibration of deploy-check): give the one that "
            "is missing"
        )
    full = registry.create(name, weights, "cpu", weights_key)
    about = _about(name, full)
    if scheme is None:
        return Subject(full, None, about, choice.opset, choice.batch)
    files = with_distilled(full, find_images(images, CALIBRATION_IMAGES, full.preprocessing.formats), report)
    pixels = torch.cat([full.preprocessing.stack([full.preprocessing.read(file)]) for file in files])
    model = quantize(full, scheme, [full.preprocessing.normalize(part) for part in pixels.split(BATCH)])
    about |= {"scheme": _scheme(scheme, Profile.of(full).cost(scheme).to_dict(scheme)), "method": "calibrate"}
    return _subject(full, model, scheme, about | {"hashes": {"images": content_hash(files)}}, choice)


def _subject(full: Detector, model: Detector, scheme: Scheme, about: Mapping[str, Any], choice: Choice) -> Subject:
    target = scheme.profile
    signed, integer_bias = (target.signed, target.integer_bias) if target else (False, True)
    return Subject(full, model, about, choice.opset, choice.batch, signed, integer_bias)


def _about(name: str, detector: Detector) -> dict[str, Any]:
    spec = detector.preprocessing
    assert is_dataclass(spec) and not isinstance(spec, type)  # as all inputs are
    heads = [{"name": head.name, "role": head.role, "channels": list(head.channels)} for head in detector.heads]
    versions = {"sfcore": sfcore.__version__, "torch": torch.__version__}
    return {
        "detector": name, "preprocessing": json.loads(json.dumps(asdict(spec))), "heads": heads, "versions": versions,
    }  # fmt: skip


def _scheme(scheme: Scheme, cost: Mapping[str, Any]) -> dict[str, Any]:
    return {**cost, "bits": str(scheme), "target": scheme.target or None}
