"""What made the runs of a report: settings, versions, hashes, seeds, and the command that repeats each."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sfcore.errors import InputError
from sfcore.present.report.blocks import Cell, Row, Table
from sfcore.present.report.evidence import Evidence
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS
from sfcore.quant.methods.options import as_text, as_words, options_of
from sfcore.quant.transforms import USUAL, beyond_usual
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.results import cost_of
from sfcore.runs.shipped import COMMAND, ships

DAY = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Settings:
    """What made the runs.

    Attributes:
        table: a column a run; of two, the rows that differ are marked.
        commands: what repeats each run.
    """

    template: ClassVar[str] = "settings.html.j2"
    table: Table
    commands: Sequence[str]


def section(evidence: Evidence) -> Settings:
    """Everything that decided the results, side by side for two runs."""
    runs = evidence.runs
    each = [run_settings(run) for run in runs]
    names = list(dict.fromkeys(name for one in each for name in one))
    rows: list[Row] = [
        {"Setting": name, **{run.name: one.get(name) for run, one in zip(runs, each, strict=True)}} for name in names
    ]
    differing = [place for place, name in enumerate(names) if len({str(one.get(name)) for one in each}) > 1]
    return Settings(Table("Settings", rows, marked=differing), [command(run) for run in runs])


def run_settings(run: RunFolder) -> dict[str, Cell]:
    """A run's settings by name, as text."""
    spec, record = run.spec, run.record()
    left = "; ".join(f"{name} ({why})" for name, why in record.get("full_precision", {}).items())
    versions = {f"Version of {name}": value for name, value in record.get("versions", {}).items()}
    return {
        "Detector": spec.detector,
        "Weights": ", ".join(filter(None, (spec.weights or "shipped", spec.weights_key))),
        "SHA-256 of the weights": record.get("weights_hash"),
        "Images": ", ".join(spec.images),
        "Number of images": record.get("images"),
        "SHA-256 of the images": record.get("image_hash"),
        "Bits": spec.scheme,
        **_cost(run),
        "In full precision": left or None,
        "Calibrator of weights": spec.weight_calibrator,
        "Calibrator of activations": spec.activation_calibrator,
        "Transforms": as_text(beyond_usual(spec.transforms)) if spec.transforms != USUAL else None,
        "Biases corrected": as_text(spec.bias_correction),
        "Method": spec.method,
        **_options(spec),
        "Seed": spec.seed,
        "Device": spec.device,
        **versions,
        "Created": _when(record.get("created")),
        "Ended": _when(record.get("ended")),
    }


def _options(spec: RunSpec) -> dict[str, Cell]:
    """Every option of the method; only those that were given where this version does not know the method."""
    try:
        recipe = spec.settings()
    except InputError:
        return {name: as_text(value) for name, value in spec.options.items()}
    known = options_of(type(recipe))
    return {option.called: as_text(getattr(recipe, name)) for name, option in known.items()}


def _cost(run: RunFolder) -> dict[str, Cell]:
    """What the scheme costs the detector; nothing where neither is there any more to tell."""
    try:
        cost = cost_of(run)
    except InputError:
        return {}
    return {
        "Average bits of weights": cost.average_weight_bits,
        "Average bits of activations": cost.average_activation_bits,
        "Bit operations an image": cost.operations,
    }


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime(DAY, time.localtime(seconds))


def command(run: RunFolder) -> str:
    """What repeats a run on the command line."""
    if ships(run):
        return COMMAND
    spec: RunSpec = run.spec
    words = ["sfcore", "tune", spec.detector]
    words += [word for source in spec.images for word in ("--images", source)]
    words += ["--bits", spec.scheme, "--method", spec.method]
    given: dict[str, Any] = {"--weights": spec.weights, "--weights-key": spec.weights_key, "--limit": spec.limit}
    given["--weight-calibrator"] = None if spec.weight_calibrator == WEIGHTS else spec.weight_calibrator
    given["--activation-calibrator"] = None if spec.activation_calibrator == ACTIVATIONS else spec.activation_calibrator
    words += [word for option, value in given.items() if value is not None for word in (option, str(value))]
    words += ["--transforms", *chosen] if (chosen := beyond_usual(spec.transforms)) else []
    words += [] if spec.bias_correction else ["--no-bias-correction"]
    words += ["--set", *as_words(spec.options)] if spec.options else []
    words += ["--seed", str(spec.seed), "--device", spec.device, "--out", f"{run.name}-again"]
    return shlex.join(words)
