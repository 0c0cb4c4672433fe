"""``sfcore detect``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfcore.cli.console import Answer, Progress
from sfcore.datasets.images import find_images, image_batches
from sfcore.detectors import registry
from sfcore.detectors.base import Detector, Image
from sfcore.devices import resolve_device
from sfcore.files import explained, write_json
from sfcore.names import LONGEST, printable, shortened
from sfcore.present.pictures import draw_lanes, save_png
from sfcore.tasks.lanes import Lanes


def run(arguments: argparse.Namespace) -> Answer:
    """Find the lanes of images, in the pixels of each."""
    files = find_images(arguments.images)
    device = resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    out = Path(arguments.out) if arguments.out else None
    content = {"images": _detect_all(detector, files, out)}
    if out:
        write_json(out / "lanes.json", content)
    lines = [f"{printable(entry['file'])}: {len(entry['lanes'])} lanes" for entry in content["images"]]
    return Answer(content, "\n".join(lines + ([f"pictures and lanes.json are in {printable(out)}"] if out else [])))


def _detect_all(detector: Detector, files: Sequence[Path], out: Path | None) -> list[dict[str, Any]]:
    if out:
        with explained(out):
            out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    entries: list[dict[str, Any]] = []
    for done, images in image_batches(files):
        for image, lanes in zip(images, detector.detect(images), strict=True):
            file = files[len(entries)]
            if out:
                name = shortened(f"{len(entries):05d}-{file.stem}", LONGEST - len(".png"))
                save_png(out / f"{name}.png", draw_lanes(image, lanes.polylines(0)))
            entries.append(_entry(file, image, lanes))
        progress("detecting", done, len(files))
    progress.close()
    return entries


def _entry(file: Path, image: Image, lanes: Lanes) -> dict[str, Any]:
    height, width = image.shape[:2]
    found = [
        {"score": round(score, 4), "points": [[round(float(x), 2), round(float(y), 2)] for x, y in line]}
        for score, line in zip(lanes.scores(0), lanes.polylines(0), strict=True)
    ]
    return {"file": str(file), "width": width, "height": height, "lanes": found}
