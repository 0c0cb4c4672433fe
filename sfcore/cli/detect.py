"""``sfcore detect``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfcore.cli.commands.detect import Detect
from sfcore.cli.console import Answer, Progress
from sfcore.datasets.images import find_images
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.distil.images import with_distilled
from sfcore.files import explained, write_json
from sfcore.names import LONGEST, printable, shortened
from sfcore.present.pictures import save_png
from sfcore.tasks.base import Prediction, Task

BATCH = 8  # frames in memory at a time


def run(arguments: Detect) -> Answer:
    """Find the objects of images, such as lanes, in the pixels of each."""
    files = find_images(arguments.images, formats=registry.entry(arguments.detector).input.formats)
    device = resolve_device(arguments.device)
    detector = registry.create(arguments.detector, arguments.weights, device, arguments.weights_key)
    with Progress() as progress:
        files = with_distilled(detector, files, progress)
    out = Path(arguments.out) if arguments.out else None
    content, things = {"images": _detect_all(detector, files, out)}, detector.task.words.plural
    if out:
        write_json(out / f"{things}.json", content)
    lines = [f"{printable(entry['file'])}: {len(entry[things])} {things}" for entry in content["images"]]
    where = [f"pictures and {things}.json are in {printable(out)}"] if out else []
    return Answer(content, "\n".join(lines + where))


def _detect_all(detector: Detector, files: Sequence[Path], out: Path | None) -> list[dict[str, Any]]:
    if out:
        with explained(out):
            out.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    spec, task = detector.preprocessing, detector.task
    with Progress() as progress:
        for start in range(0, len(files), BATCH):
            frames = [spec.read(file) for file in files[start : start + BATCH]]
            for frame, found in zip(frames, detector.detect(frames), strict=True):
                file = files[len(entries)]
                if out:
                    name = shortened(f"{len(entries):05d}-{file.stem}", LONGEST - len(".png"))
                    save_png(out / f"{name}.png", task.draw_each(spec.canvas(frame), found))
                entries.append(_entry(file, task, spec.size_of(frame), found))
            progress("detecting", len(entries), len(files))
    return entries


def _entry(file: Path, task: Task[Any], size: tuple[int, int], found: Prediction) -> dict[str, Any]:
    height, width = size
    return {"file": str(file), "width": width, "height": height, task.words.plural: task.listed(found)}
