"""The scenes that ship with the project: chosen seeds, written to and read from ``sample_data/scenes``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sfcore.datasets.scenes.folders import labels_of
from sfcore.datasets.scenes.render import VERSION, Scene, render
from sfcore.datasets.scenes.sightings import NAMES
from sfcore.errors import InputError
from sfcore.resources import sample_data

#: What ships, in the order it is shown: the seed of each scene (never trained on) and its scenario.
SAMPLES: tuple[tuple[int, str], ...] = (
    (900639, "curve"),
    (920002, "normal"),
    (920034, "shadow"),
    (920085, "night"),
    (920012, "crowd"),
    (920054, "arrow"),
    (900764, "curve"),
    (920042, "noline"),
    (920024, "hlight"),
    (920003, "normal"),
    (920082, "night"),
    (920032, "shadow"),
    (920015, "crowd"),
    (920071, "cross"),
    (910006, "normal"),
    (920022, "hlight"),
    (920053, "arrow"),
    (920061, "curve"),
    (920046, "noline"),
    (920035, "shadow"),
    (920013, "crowd"),
    (920084, "night"),
    (920025, "hlight"),
    (920006, "normal"),
)

QUALITY = 90
LICENCE = "Rendered by this project's own code (sfcore.datasets.scenes) from the seeds listed; no outside material."


def write_samples(folder: Path) -> Path:
    """Render the samples into ``folder/scenes``: JPEG pictures, labels.json and manifest.json.

    Weights found in ``folder/weights`` are listed in the manifest with their hashes.

    Returns:
        The folder of the scenes.
    """
    scenes = folder / "scenes"
    scenes.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    labels: list[dict[str, object]] = []
    for place, (seed, scenario) in enumerate(SAMPLES):
        scene = render(seed, scenario=scenario)
        file = f"{place:02d}-{scenario}.jpg"
        cv2.imwrite(str(scenes / file), scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        images.append({"file": file, "seed": seed, "scenario": scenario, "sha256": _sha256(scenes / file)})
        labels.append({"file": file, "scenario": scenario} | labels_of(scene))
    weights = sorted((folder / "weights").glob("*.safetensors"))
    manifest = {
        "renderer": VERSION,
        "size": list(scene.image.shape[:2]),
        "licence": LICENCE,
        "labels": "labels.json",
        "images": images,
        "weights": [{"file": f"weights/{path.name}", "sha256": _sha256(path)} for path in weights],
    }
    (scenes / "labels.json").write_text(_lines(labels))
    (scenes / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return scenes


def sample_scenes() -> list[Scene]:
    """The scenes that ship with the project, pictures as stored (JPEG) with their labels.

    Raises:
        InputError: the sample data is missing.
    """
    folder = sample_data() / "scenes"
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        labels = {entry["file"]: entry for entry in json.loads((folder / manifest["labels"]).read_text())}
    except FileNotFoundError as missing:
        raise InputError(
            f"sample data '{missing.filename}' is missing: it ships with the project; "
            "write it again with 'python -m sfcore.datasets.scenes'."
        ) from None
    return [_scene(folder, entry, labels[entry["file"]]) for entry in manifest["images"]]


def _scene(folder: Path, entry: dict[str, Any], label: dict[str, Any]) -> Scene:
    lanes = [np.asarray(line, np.float64) for line in label["lanes"]]
    boxes = np.array([[*sides, NAMES.index(name)] for name, *sides in label["boxes"]], np.float64).reshape(-1, 5)
    return Scene(_read(folder / entry["file"]), lanes, entry["scenario"], entry["seed"], boxes)


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(
            f"sample picture '{path}' cannot be read: write it again with 'python -m sfcore.datasets.scenes'."
        )
    return np.ascontiguousarray(image[..., ::-1])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(entries: Sequence[Mapping[str, object]]) -> str:
    """A JSON list with one entry a line."""
    return "[\n" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries) + "\n]\n"
