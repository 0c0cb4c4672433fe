"""How long a run will take and how much memory, before it starts.

Both are read off a run that did the same things on this machine: an earlier one, or a trial, which is the same run on
a few images with a few steps. What a phase took for one image, batch, scene, step or check is multiplied by how many
there will be.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, takewhile
from operator import truediv
from pathlib import Path
from typing import Any

from sfcore.clock import forward
from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.memory import free_memory
from sfcore.quant.corrections.bias import BIAS_IMAGES
from sfcore.quant.reconstruct.cache import memory_budget
from sfcore.runs.events import CALIBRATING, MEASURING, READING, RECORDING, RENDERING
from sfcore.runs.folder import RunFolder
from sfcore.runs.results import FILES
from sfcore.runs.session import BATCH, CALIBRATION_IMAGES, HELD_BACK, MOST_HELD_BACK
from sfcore.runs.spec import RunSpec
from sfcore.runs.store import launch, list_runs
from sfcore.sensitivity.curves import CurveSettings

TRIALS = ".trials"  # beside the runs
TRIAL_IMAGES, TRIAL_SCENES, TRIAL_STEPS = 16, 2, 4
LAST_CHECKS = 3  # of the held-back images besides those between steps: at first, and of two models at the end
# Options of a method that decide what a step costs, and those of which it only matters whether there is any.
COSTLY, ANY = ("granularity", "batch", "objective", "selection", "learn"), ("drop", "augmentation", "features")

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        seconds: from its start to its end.
        memory: bytes at most; of the GPU where it runs on one.
        free: bytes that are free there now.
        device: "cpu" or "cuda".
        of: the run that it was read off.
        trial: whether that was a trial rather than an earlier run.
        busy: whether the machine worked on other runs during the trial.
    """

    seconds: float
    memory: int
    free: int
    device: str
    of: RunFolder
    trial: bool
    busy: bool


@dataclass(frozen=True)
class Amount:
    """How much there is to do.

    Attributes:
        images: all, rendered scenes among them.
        steps: of tuning, for each unit.
    """

    images: int
    scenes: int
    steps: int
    check_every: int
    of_net: bool

    @classmethod
    def of(cls, spec: RunSpec) -> Amount:
        """That of a run. Raises InputError: see :meth:`RunSpec.settings` and :meth:`RunSpec.image_set`."""
        recipe = spec.settings()
        images = spec.limit or len(spec.image_set())
        whole = recipe.granularity == "net"
        return cls(images + recipe.rendered, recipe.rendered, recipe.iterations, recipe.check_every, whole)

    @property
    def held_back(self) -> int:
        return min(max(1, self.images // HELD_BACK), MOST_HELD_BACK)

    @property
    def tuned_on(self) -> int:
        return max(1, self.images - self.images // HELD_BACK)

    @property
    def batches(self) -> int:
        """Of calibration."""
        return -(-min(self.tuned_on, CALIBRATION_IMAGES) // BATCH)

    @property
    def checks(self) -> int:
        """Between steps, for each unit."""
        return -(-self.steps // self.check_every) if self.of_net else 1


def estimate(spec: RunSpec, root: Path) -> Estimate | None:
    """What a run will take; None while no earlier run and no trial did the same things.

    Raises:
        InputError: the specification is wrong.
    """
    kind, trial = _kind(spec), RunFolder(trial_path(spec, root))
    earlier = next((run for run in list_runs(root) if _serves(run, kind)), None)
    run = earlier or (trial if (trial.path / "run.json").is_file() and _serves(trial, kind) else None)
    if run is None:
        return None
    for models in FILES.values() if run is trial else ():  # they are of no use and take room
        trial.drop_tensors(models)
    record, there, here, device = run.record(), Amount.of(run.spec), Amount.of(spec), resolve_device(spec.device)
    return Estimate(
        predicted(run.events()[0], float(record["started"] or 0.0), there, here),
        _memory(record, there, here, memory_budget(device)),
        free_memory(device),
        device.type, run, run is trial, bool(record.get("busy")),
    )  # fmt: skip


def trial_path(spec: RunSpec, root: Path) -> Path:
    """Where the trial of a run has its folder, whether or not there is one."""
    text = json.dumps(_kind(spec), sort_keys=True)
    return root / TRIALS / hashlib.sha256(text.encode()).hexdigest()[:16]


def try_out(spec: RunSpec, root: Path, **noted: Any) -> RunFolder:
    """Start the trial of a run as a process of its own, anew if there was one.

    Args:
        noted: fields of its record.

    Raises:
        InputError: the specification is wrong, or the trial is going on.
    """
    spec = spec.absolute()
    spec.validate()
    amount, options = Amount.of(spec), dict(spec.options)
    if amount.steps:
        options |= {"iterations": TRIAL_STEPS, "rendered": min(amount.scenes, TRIAL_SCENES), "check_every": TRIAL_STEPS}
    path = trial_path(spec, root)
    if path.is_dir() and not RunFolder(path).is_alive():
        shutil.rmtree(path)
    few = min(TRIAL_IMAGES, amount.images - amount.scenes)
    trial = RunFolder.create(path, replace(spec, limit=few, options=options))
    trial.update(busy=any(run.is_alive() for run in list_runs(root)), **noted)
    launch(trial)
    return trial


def _serves(run: RunFolder, kind: dict[str, Any]) -> bool:
    """Whether another run can be read off this one; not when its weights or its method are gone."""
    record = run.record()
    if record["status"] != "done" or not {"started", "memory", "image_bytes"} <= set(record):
        return False
    with suppress(InputError):
        return _kind(run.spec) == kind
    return False


def _kind(spec: RunSpec) -> dict[str, Any]:
    """What decides how long a step takes; runs that have it in common are read off each other."""
    spec = spec.absolute()
    recipe = asdict(spec.settings())
    cost = {name: recipe[name] for name in COSTLY} | {name: bool(recipe[name]) for name in ANY}
    calibration = (spec.weight_calibrator, spec.activation_calibrator, spec.bias_correction, spec.transforms)
    weights = spec.weights_file()
    about = (spec.detector, str(weights), weights.stat().st_mtime, resolve_device(spec.device).type)
    return {"about": about, "calibration": calibration, "steps": bool(recipe["iterations"]), **cost}


def predicted(events: Sequence[Event], started: float, there: Amount, here: Amount) -> float:
    """Seconds that a run of the amount ``here`` takes, by the events of one of the amount ``there``."""
    if not events:
        return 0.0
    events = forward(events)
    seconds = max(float(events[0]["time"]) - started, 0.0)
    for phase, before, now in (
        (READING, there.images - there.scenes, here.images - here.scenes),
        (RENDERING, there.scenes, here.scenes),
        (CALIBRATING, there.batches, here.batches),
        (MEASURING, _sets(there), _sets(here)),
    ):
        seconds += _phase(events, phase, now / max(before, 1))
    corrected = (min(amount.tuned_on, BIAS_IMAGES) for amount in (here, there))
    seconds += _correction(events) * truediv(*corrected)
    units = max((event["unit"][1] for event in events if "unit" in event), default=1)
    recording = sum(_recording(events)) / max(there.tuned_on, 1) * here.tuned_on  # of all units
    step, check = _steps(events)
    checks = here.checks * units + LAST_CHECKS
    return seconds + recording + step * here.steps * units + check * here.held_back / there.held_back * checks


def _sets(amount: Amount) -> int:
    """Images that curves are measured on."""
    return min(amount.tuned_on, CurveSettings().images)


def _events_of(events: Sequence[Event], phase: str) -> tuple[Event, list[Event]]:
    """The event before a phase, or its own first one, and those of the phase when it was carried out first."""
    first = next((place for place, event in enumerate(events) if event.get("phase") == phase), 0)
    return events[max(first - 1, 0)], list(takewhile(lambda event: event.get("phase") == phase, events[first:]))


def _phase(events: Sequence[Event], phase: str, times: float) -> float:
    """Seconds of a phase with so many times as much to do; what comes but once, before its first event, counts once."""
    before, found = _events_of(events, phase)
    if not found:
        return 0.0
    last = next((event for event in found if event["done"] == event["total"]), found[-1])
    took, done = last["time"] - before["time"], last["done"] - found[0]["done"]
    growing = (last["time"] - found[0]["time"]) / done * last["done"] if done else took
    return float(times * growing + max(took - growing, 0.0))


def _correction(events: Sequence[Event]) -> float:
    """Seconds of bias correction, which comes after the last batch of calibration."""
    full = [event["time"] for event in _events_of(events, CALIBRATING)[1] if event["done"] == event["total"]]
    return float(full[-1] - full[0]) if full else 0.0


def _recording(events: Sequence[Event]) -> list[float]:
    """Seconds of recording what the steps of each unit need."""
    return [
        float(event["time"] - before["time"])
        for before, event in pairwise(events)
        if event["type"] == "progress" and event["phase"].startswith(RECORDING)
    ]


def _steps(events: Sequence[Event]) -> tuple[float, float]:
    """Mean seconds of a step, and of a check: of neighbouring events, for between others a run may have rested."""
    pairs = [pair for pair in pairwise(events) if all(event["type"] == "step" for event in pair)]
    plain = [after["time"] - before["time"] for before, after in pairs if "held_back" not in after]
    checked = [after["time"] - before["time"] for before, after in pairs if "held_back" in after]
    step = _mean(plain or checked)
    return step, max(_mean(checked) - step, 0.0) if plain else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _memory(record: Mapping[str, Any], there: Amount, here: Amount, budget: int) -> int:
    """Bytes: those of the other run, with its images' pixels and cached activations exchanged for this one's."""
    pixels, cached = record["image_bytes"]
    more = min(cached * here.tuned_on, budget) - cached * there.tuned_on
    return int(record["memory"] + pixels * (here.images - there.images) + more)
