"""``sfcore curves``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sfcore.cli.console import Answer, Progress, table
from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors import registry
from sfcore.devices import resolve_device
from sfcore.evaluation.inference import head_outputs
from sfcore.export.pictures import save_curves_picture
from sfcore.files import explained
from sfcore.sensitivity.curves import CurveSettings, noise_score_curves


def run(arguments: argparse.Namespace) -> Answer:
    """Measure the noise-score curve of every head."""
    begun = time.perf_counter()
    settings = CurveSettings(arguments.limit, arguments.levels, arguments.reruns, arguments.seed, kind=arguments.kind)
    files = find_images(arguments.images, arguments.limit)
    detector = registry.create(arguments.detector, arguments.weights, resolve_device(arguments.device))
    out, progress = Path(arguments.out), Progress()
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    outputs = head_outputs(detector, files, lambda d, n: progress("images", d, n))
    about = {"detector": arguments.detector, "image_hash": content_hash(files)}
    curves = noise_score_curves(detector, outputs, settings, lambda d, n: progress("curves", d, n), about=about)
    progress.close()
    with explained(out):
        curves.save(out)
    save_curves_picture(out / "curves.png", curves, arguments.detector)
    heads = {
        head: {key: getattr(curve, key).tolist() for key in ("noise", "score", "low", "high")}
        for head, curve in curves.curves.items()
    }
    seconds = round(time.perf_counter() - begun, 3)
    rows = [
        {"head": head, **{f"{level:.3g}": curve(level) for level in curve.noise}}
        for head, curve in curves.curves.items()
    ]
    text = f"distortion by noise level\n{table(rows)}\ncurves.csv and curves.png are in {out} ({seconds} s)"
    return Answer({"heads": heads, "seconds": seconds}, text)
