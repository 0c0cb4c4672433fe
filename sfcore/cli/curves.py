"""``sfcore curves``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from sfcore.cli.commands.curves import MeasureCurves
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.crew import about_model, crew_of
from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.distil.images import with_distilled
from sfcore.errors import InputError
from sfcore.evaluation.inference import head_outputs
from sfcore.files import explained
from sfcore.names import printable
from sfcore.present.pictures import save_curves_picture
from sfcore.runs.curve_shards import curves_in_shards
from sfcore.runs.shards import Crew
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import NoiseKind


def run(arguments: MeasureCurves) -> Answer:
    """Measure the noise-score curve of every head; of several detectors, one after the other."""
    begun, crew = time.perf_counter(), crew_of(arguments)
    kind = cast(NoiseKind, arguments.kind)  # which the settings check
    settings = CurveSettings(arguments.limit, arguments.levels, arguments.reruns, arguments.seed, kind=kind)
    names, out = arguments.detector, Path(arguments.out)
    formats = {name: registry.entry(name).input.formats for name in names}
    files = {name: find_images(arguments.images, arguments.limit, formats[name]) for name in names}
    if len(names) > 1 and arguments.weights:
        raise InputError(f"--weights with {len(names)} detectors: a checkpoint belongs to one, name that one alone")
    found: dict[str, Curves] = {}
    for name in names:
        folder = out / name if len(names) > 1 else out
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        found[name] = _measure(name, arguments, files[name], settings, crew, folder)
        with explained(folder):
            found[name].save(folder)
        save_curves_picture(out / "curves.png", found)  # again after each: a long run shows what it has
    content = {name: {"heads": _heads(curves)} for name, curves in found.items()}
    seconds = round(time.perf_counter() - begun, 3)
    tables = [f"{name}: distortion by noise level\n{_table(curves)}" for name, curves in found.items()]
    text = "\n\n".join([*tables, f"curves.csv and curves.png are in {printable(out)} ({seconds} s)"])
    answer = content[names[0]] if len(names) == 1 else {"detectors": content}
    return Answer({**answer, "seconds": seconds}, text)


def _measure(
    name: str, arguments: MeasureCurves, files: list[Path], settings: CurveSettings, crew: Crew, out: Path
) -> Curves:
    detector = registry.create(name, arguments.weights, resolve_device(arguments.device), arguments.weights_key)
    with Progress() as progress:
        files = with_distilled(detector, files, progress)
        about = {"detector": name, "image_hash": content_hash(files)}
        outputs = head_outputs(detector, files, progress.phase_of(f"{name}: images"))
        watch = progress.phase_of(f"{name}: curves")
        if crew.alone:
            return noise_score_curves(detector, outputs, settings, watch, about=about)
        model = about_model(name, arguments.weights, arguments.weights_key)
        request = {"model": model, "device": arguments.device}
        return curves_in_shards(crew, out, request, detector, outputs, settings, watch, about)


def _heads(curves: Curves) -> dict[str, Any]:
    keys = ("noise", "score", "low", "high")
    return {head: {key: getattr(curve, key).tolist() for key in keys} for head, curve in curves.curves.items()}


def _table(curves: Curves) -> str:
    rows = [{"head": head, **{f"{x:.3g}": curve(x) for x in curve.noise}} for head, curve in curves.curves.items()]
    return table(rows)
