"""``sfcore allocate``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from sfcore.cli.commands.allocate import Allocate
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.crew import about_model, crew_of
from sfcore.datasets.images import image_set
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.distil.images import distilled_set
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.names import printable
from sfcore.quant import Scheme, quantize
from sfcore.quant.allocate import STRATEGIES
from sfcore.quant.allocation import BASE, WIDTHS, Allocation, Allocator, Constraints, allocator, check_rounds
from sfcore.quant.budget import Budget, parse_budgets
from sfcore.quant.criteria import CRITERIA
from sfcore.quant.front import Axis, check_points, front, in_order
from sfcore.quant.inference import run as run_on
from sfcore.runs.allocation_workers import measuring
from sfcore.runs.session import split
from sfcore.tasks.base import Agreement

SHARED = ".shared"  # ends the name of the folder that workers hand over in, beside the scheme's
JUDGED = 4  # one in so many images is what is judged on, where no others are named


@dataclass(frozen=True)
class _Frames:
    """Stacked frames that bits are chosen on, and those that they are judged on."""

    chosen_on: Tensor
    judged_on: Tensor


def run(arguments: Allocate) -> Answer:
    """Measure the layers, choose bits, write the scheme, and judge it on images that nothing was chosen on."""
    budgets, out = parse_budgets(arguments.budget), _out(arguments.out)
    constraints = Constraints(tuple(arguments.candidates or WIDTHS), arguments.equal, arguments.shared)
    STRATEGIES[arguments.strategy], CRITERIA[arguments.criterion]  # refuse unknown names before anything is computed
    axis = _axis(arguments.front_axis)
    check_rounds(arguments.rounds)
    if arguments.front is not None:
        check_points(arguments.front)
    crew, device = crew_of(arguments), resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    with Progress() as progress:
        frames = _frames(detector, arguments, progress)
        with measuring(crew, out.with_suffix(SHARED), _request(arguments), frames.chosen_on) as measurer:
            allocating = allocator(
                detector, frames.chosen_on, constraints, arguments.criterion, report=progress, measurer=measurer
            )
            told, rounds = progress.phase_of("allocations"), arguments.rounds
            made = allocating.allocate(budgets, arguments.strategy, rounds, seed=arguments.seed, progress=told)
            uniform = _uniform(allocating, budgets)
            points = []
            if arguments.front is not None:
                points = front(allocating, frames.judged_on, axis, arguments.front, progress=progress.phase_of("front"))
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    made.scheme.save(out)
    judged = {scheme: _judged(detector, frames, scheme) for scheme in (made.scheme, uniform)}
    rows = [point.row() for point in in_order(points, axis)]
    content = _content(arguments, frames, made, judged[made.scheme])
    content["uniform"] = {"bits": uniform.base, **_scores(judged[uniform])}
    content |= {"front": rows} if points else {}
    return Answer(content, _text(arguments, made, uniform, judged, rows))


def _request(arguments: Allocate) -> dict[str, Any]:
    """What workers must know: see :func:`sfcore.runs.allocation_workers.measuring`."""
    model = about_model(arguments.detector, arguments.weights, arguments.weights_key)
    return {"model": model, "base": str(BASE), "device": arguments.device}


def _out(text: str) -> Path:
    """Where the scheme goes. Raises InputError: --bits would not know the file by its name."""
    if not text.lower().endswith(".json"):
        raise InputError(f"--out {text}: a scheme file ends in .json, by which --bits knows it")
    return Path(text)


def _axis(text: str) -> Axis:
    if text not in get_args(Axis):
        raise InputError(f"--front-axis {text}: choose one of {', '.join(get_args(Axis))}")
    return "size" if text == "size" else "bops"


def _frames(detector: Detector, arguments: Allocate, progress: Progress) -> _Frames:
    """The images, read; those of a source's end are judged on where no others are named for it."""
    formats, spec = registry.entry(arguments.detector).input.formats, detector.preprocessing
    images = distilled_set(detector, image_set(arguments.images, arguments.limit, formats), progress)
    chosen, held = split(images.source_index, arguments.seed, JUDGED)
    judged = [images.files[place] for place in held]
    if arguments.test:
        chosen, judged = list(range(len(images))), list(image_set(arguments.test, arguments.limit, formats).files)
    stacked = [torch.cat([spec.stack([spec.read(file)]) for file in files]) for files in (
        [images.files[place] for place in sorted(chosen)], judged,
    )]  # fmt: skip
    return _Frames(*stacked)


def _uniform(allocating: Allocator, budgets: tuple[Budget, ...]) -> Scheme:
    """The widest uniform scheme within the budgets; where none is, the narrowest."""
    try:
        return allocating.allocate(budgets, "uniform", rounds=0).scheme
    except InputError:
        least, base = allocating.constraints.candidates[0], allocating.ranges.base
        return replace(base, weight_bits=least, activation_bits=least, rules=())


def _judged(detector: Detector, frames: _Frames, scheme: Scheme) -> Agreement:
    """How the model that a run would begin with agrees with full precision on the frames that are judged on."""
    normalize = detector.preprocessing.normalize
    model = quantize(detector, scheme, [normalize(part.to(detector.device)) for part in frames.chosen_on.split(8)])
    full, found = (each.decode(run_on(each, frames.judged_on)) for each in (detector, model))
    return detector.task.agreement(full, found)


def _scores(agreed: Agreement) -> dict[str, Any]:
    return {"f1": agreed.f1, "distortion": agreed.distortion, f"shift_{agreed.unit}": agreed.shift}


def _content(arguments: Allocate, frames: _Frames, made: Allocation, judged: Agreement) -> dict[str, Any]:
    cost = made.cost
    return {
        "scheme": str(made.scheme),
        "file": arguments.out,
        "budget": list(arguments.budget),
        "strategy": arguments.strategy,
        "criterion": arguments.criterion,
        "images": {"chosen_on": len(frames.chosen_on), "judged_on": len(frames.judged_on)},
        "average_weight_bits": cost.average_weight_bits,
        "average_activation_bits": cost.average_activation_bits,
        "bops": cost.bops,
        "size_bytes": made.size_bytes,
        "measured": _scores(judged),
    }


def _text(
    arguments: Allocate, made: Allocation, uniform: Scheme, judged: dict[Scheme, Agreement], rows: list[dict[str, Any]]
) -> str:
    lines = [{"bits": name, **_scores(judged[scheme])} for name, scheme in (
        ("allocated", made.scheme), (f"uniform {uniform.base}", uniform),
    )]  # fmt: skip
    text = f"{arguments.detector}: {made.cost}; {made.size_bytes:,} bytes of parameters\n{table(lines)}"
    if rows:
        shown = [{name: value for name, value in row.items() if name != "scheme"} for row in rows]
        text += f"\nfront, on the same images\n{table(shown)}"
    return f"{text}\n{printable(arguments.out)} holds the scheme: give it to --bits"
