"""Boxes that a detector found in images, filed as COCO's tools read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.dataset import Frame, Label, Predictions
from sfcore.datasets.numbers import items, numbers
from sfcore.errors import InputError
from sfcore.files import explained, write_json
from sfcore.json_lines import JsonLines

RESULTS = "results.json"  # in the folder: what COCO's tools read
FRAMES = "frames.jsonl"  # each frame as it was found, also those without a box


class BoxPredictions(Predictions):
    """A folder with a line for each frame, and a file of COCO's results once all are done.

    Args:
        folder: made when the first frame is written.
        image_ids: the number of each frame by its name, as the labels have it.
        category_ids: the number of each class.
    """

    def __init__(self, folder: Path, image_ids: Mapping[str, int], category_ids: Sequence[int]) -> None:
        self._folder, self._lines = folder, JsonLines(folder / FRAMES)
        self._image_ids, self._category_ids = image_ids, category_ids
        self._found: dict[str, np.ndarray] = {}  # (N, 6) left, top, right, bottom, label, score
        damaged = 0
        for line in self._lines.read()[0]:
            try:
                self._found[_name(line)] = _rows(line, len(category_ids))
            except (ValueError, KeyError, TypeError):
                damaged += 1
        if damaged:
            self.problems = [f"{self._lines.path} has {damaged} damaged lines: delete it to predict their frames again"]

    def done(self) -> set[str]:
        return set(self._found)

    def write(self, frame: Frame, objects: Sequence[np.ndarray], label: Label | None, milliseconds: float) -> None:
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        rows = np.array(objects, np.float64).reshape(-1, 6).round(5)
        self._lines.append({"file": frame.name, "boxes": rows.tolist(), "milliseconds": round(milliseconds, 3)})
        self._found[frame.name] = rows

    def read(self, frame: Frame) -> list[np.ndarray]:
        if frame.name not in self._found:
            raise InputError(f"{self._lines.path} has no boxes of {frame.name}: predict it first")
        return list(self._found[frame.name])

    def finish(self) -> None:
        """Write all boxes as COCO's results: a list of image_id, category_id, bbox and score."""
        results = [self._result(name, row) for name, rows in self._found.items() for row in rows.tolist()]
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / RESULTS, results)

    def _result(self, name: str, row: Sequence[float]) -> dict[str, Any]:
        left, top, right, bottom, label, score = row
        bbox = [round(value, 3) for value in (left, top, right - left, bottom - top)]
        return {
            "image_id": self._image_ids[name], "category_id": self._category_ids[int(label)],
            "bbox": bbox, "score": round(score, 5),
        }  # fmt: skip


def _name(line: Mapping[str, Any]) -> str:
    if not isinstance(line["file"], str):
        raise ValueError("the file is no name")
    return line["file"]


def _rows(line: Mapping[str, Any], classes: int) -> np.ndarray:
    found = np.array([numbers(row) for row in items(line["boxes"])], np.float64).reshape(-1, 6)
    if not np.isin(found[:, 4], np.arange(classes)).all():
        raise ValueError("a box has another class")
    return found


def numbered_predictions(folder: Path, frames: Sequence[Frame], names: Sequence[str]) -> BoxPredictions:
    """Of a dataset whose labels number neither images nor classes: both by their order, from 1."""
    numbers = {frame.name: number for number, frame in enumerate(frames, 1)}
    return BoxPredictions(folder, numbers, range(1, len(names) + 1))
