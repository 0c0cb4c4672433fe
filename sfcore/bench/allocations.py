"""Bits that are allocated to each detector of a bench before its cells begin, where a budget stands for a scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from sfcore.bench.plan import Plan
from sfcore.datasets.images import image_set
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.distil.images import distilled_set
from sfcore.quant.allocation import WIDTHS, Constraints, Report, allocator
from sfcore.quant.budget import Budget
from sfcore.quant.scheme import Scheme

IMAGES = 64  # of the calibration images that bits are chosen on, evenly spaced


def allocated(plan: Plan, folder: Path, candidates: Sequence[int] = WIDTHS, report: Report | None = None) -> Plan:
    """The plan with a scheme for each detector and budget, chosen on calibration images.

    Args:
        folder: keeps the schemes as files; one that is there is taken, so that a bench goes on with what it began.
        candidates: widths to choose from.
        report: called with (phase, done, total).

    Raises:
        InputError: a budget cannot be met, or an image or checkpoint cannot be read.
    """
    found: dict[tuple[str, str], Scheme] = {}
    for detector in dict.fromkeys(plan.detectors) if plan.budgets else ():
        files = {budget: folder / f"{detector}-{budget}.json" for budget in plan.budgets}
        missing = [budget for budget, file in files.items() if not file.exists()]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            _allocate(plan, detector, {budget: files[budget] for budget in missing}, candidates, report)
        found |= {(detector, budget): Scheme.load(file) for budget, file in files.items()}
    return replace(plan, allocated=found)


def _allocate(plan: Plan, name: str, places: dict[str, Path], candidates: Sequence[int], report: Report | None) -> None:
    """Choose a detector's bits for some budgets and write them down."""
    device = resolve_device(plan.device)
    detector = registry.create(name, plan.weights.get(name), device, plan.weights_keys.get(name))
    limit = min(IMAGES, plan.limit or IMAGES)
    spec, chosen = detector.preprocessing, image_set(plan.images, limit, registry.entry(name).input.formats)

    def named(phase: str, done: int, total: int) -> None:
        if report:
            report(f"{name}, {phase}", done, total)

    files = distilled_set(detector, chosen, named).files
    frames = torch.cat([spec.stack([spec.read(file)]) for file in files])
    allocating = allocator(detector, frames, Constraints(tuple(candidates)), report=named)
    for budget, place in places.items():
        allocating.allocate([Budget.parse(budget)]).scheme.save(place)
