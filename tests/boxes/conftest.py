"""Commands as a script calls them, a detector of boxes that is there for these tests alone, and labelled images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from sfcore.detectors.registry import DETECTORS
from sfcore.registries import import_file
from tests.cli.conftest import sfcore_

__all__ = ["sfcore_"]

PLUGIN = Path(__file__).with_name("plugin.py")


@pytest.fixture(scope="session", autouse=True)
def plugin() -> Iterator[None]:
    import_file(PLUGIN)
    os.environ["SFCORE_PLUGINS"] = str(PLUGIN)
    yield
    del os.environ["SFCORE_PLUGINS"]
    del DETECTORS._things["spots"], DETECTORS._owners["spots"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "spots.safetensors"
    save_file(DETECTORS["spots"].build().state_dict(), path)
    return path


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of 128 × 128 px in COCO's layout, each with a bright square and, in every other, a dim one."""
    root = tmp_path_factory.mktemp("squares")
    (root / "annotations").mkdir()
    (root / "val").mkdir()
    images, boxes = [], []
    for number in range(12):
        picture = np.full((128, 128, 3), 20, np.uint8)
        seen = [(16 * (number % 6), 16, 230)] + ([(16 * (number % 5), 80, 100)] if number % 2 else [])
        for x, y, light in seen:
            picture[y : y + 16, x : x + 16] = light
            box = {"image_id": number, "category_id": 5, "bbox": [x, y, 16, 16]}
            boxes.append({**box, "id": len(boxes), "area": 256, "iscrowd": 0})
        (root / "val" / f"{number:02d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        images.append({"id": number, "file_name": f"{number:02d}.png", "width": 128, "height": 128})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 5, "name": "Spot"}]}
    (root / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return root
