"""Rendered scenes written as a dataset: a plain folder, CULane's layout or TuSimple's, for trying every command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sfcore.datasets.scenes.plan import SCENARIOS
from sfcore.datasets.scenes.render import Scene
from sfcore.datasets.scenes.sightings import NAMES
from sfcore.errors import InputError
from sfcore.files import explained, write_atomic
from sfcore.tasks.lanes import Polyline

QUALITY = 92  # of JPEG
HEIGHT_STEP = 10  # pixels between the rows at which TuSimple labels lanes, at 720 px image height
FIRST_HEIGHT = 160

#: (height, width) that scenes of each layout have when none is given: 16:9 as the tiny detectors were trained.
#: CULane's has the width of its photographs, so that lanes 30 px wide are as wide as there.
SIZES = {"folder": (360, 640), "culane": (922, 1640), "tusimple": (720, 1280)}


def write_scenes(layout: str, root: Path, split: str, scenes: Iterable[Scene]) -> list[dict[str, Any]]:
    """Write scenes with their labels one by one, and the lists that name them at the end.

    Args:
        layout: one of SIZES.
        split: the part of the dataset that the scenes become; written before, it is replaced.

    Returns:
        File, seed and scenario of each.

    Raises:
        InputError: no such layout, or the folder cannot be written.
    """
    if layout not in SIZES:
        raise InputError(f"scenes cannot be written as {layout!r}: choose one of {', '.join(SIZES)}")
    with explained(root):
        return _WRITERS[layout](root, split, scenes)


def _write_folder(root: Path, split: str, scenes: Iterable[Scene]) -> list[dict[str, Any]]:
    """PNG pictures and labels.json; a plain folder has no splits."""
    entries, labels = [], []
    for scene in scenes:
        file = f"{scene.seed:08d}.png"
        _write_image(root / file, scene)
        entries.append(_entry(scene, file))
        labels.append(entries[-1] | labels_of(scene))
    write_atomic(root / "labels.json", json.dumps(labels).encode())
    return entries


def labels_of(scene: Scene) -> dict[str, Any]:
    """The labels of a scene for JSON: lanes as x, y and vehicles as name and sides, in pixels."""
    boxes = [[NAMES[int(label)], *np.round(sides, 2).tolist()] for *sides, label in scene.boxes]
    return {"lanes": [np.round(line, 2).tolist() for line in scene.lanes], "boxes": boxes}


def _write_culane(root: Path, split: str, scenes: Iterable[Scene]) -> list[dict[str, Any]]:
    """Pictures with ``.lines.txt`` beside them, ``list/SPLIT.txt``, and for the test split the nine scenario lists."""
    entries = []
    for scene in scenes:
        file = f"rendered_{split}/{scene.scenario}/{scene.seed:08d}.jpg"
        _write_image(root / file, scene)
        lines = (" ".join(f"{x:.3f} {y:.3f}" for x, y in line) + "\n" for line in scene.lanes)
        write_atomic((root / file).with_suffix(".lines.txt"), "".join(lines).encode())
        entries.append(_entry(scene, file))
    _write_list(root / "list" / f"{split}.txt", entries)
    if split == "test":
        for number, scenario in enumerate(SCENARIOS):  # the order of CULane's own lists
            chosen = [entry for entry in entries if entry["scenario"] == scenario]
            _write_list(root / "list" / "test_split" / f"test{number}_{scenario}.txt", chosen)
    return entries


def _write_tusimple(root: Path, split: str, scenes: Iterable[Scene]) -> list[dict[str, Any]]:
    """Pictures under ``clips`` and one JSON label a line: test_label.json, or label_data_SPLIT.json for others."""
    entries, labels = [], []
    for scene in scenes:
        file = f"clips/{split}/{scene.scenario}/{scene.seed:08d}/20.jpg"
        _write_image(root / file, scene)
        entries.append(_entry(scene, file))
        height = scene.image.shape[0]
        heights = np.arange(FIRST_HEIGHT, 720, HEIGHT_STEP) * height // 720
        lanes = [_columns(line, heights) for line in scene.lanes]
        label = {"raw_file": file, "lanes": [lane for lane in lanes if max(lane) >= 0], "h_samples": heights.tolist()}
        labels.append(json.dumps(label) + "\n")
    name = "test_label.json" if split == "test" else f"label_data_{split}.json"
    write_atomic(root / name, "".join(labels).encode())
    return entries


_WRITERS: dict[str, Callable[[Path, str, Iterable[Scene]], list[dict[str, Any]]]] = {
    "folder": _write_folder,
    "culane": _write_culane,
    "tusimple": _write_tusimple,
}


def _columns(line: Polyline, heights: np.ndarray) -> list[int]:
    """Whole pixels of x at each height, -2 where the lane has none."""
    x, y = line[np.argsort(line[:, 1])].T
    return [round(value) for value in np.interp(heights, y, x, left=-2, right=-2)]


def _entry(scene: Scene, file: str) -> dict[str, Any]:
    return {"file": file, "seed": scene.seed, "scenario": scene.scenario}


def _write_image(path: Path, scene: Scene) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if path.suffix == ".jpg" else []
    _, data = cv2.imencode(path.suffix, scene.image[..., ::-1], quality)
    write_atomic(path, data.tobytes())


def _write_list(path: Path, entries: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(f"/{entry['file']}\n" for entry in entries).encode())
