"""Rendered scenes: images with a ``labels.json``, as ``sfcore scenes`` writes them.

The file is a list of ``{"file": …, "lanes": [[[x, y], …], …], "boxes": [[name, left, top, right, bottom], …],
"scenario": …}``. Only its text stays in memory: a lane takes tens of times more as Python numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.box_predictions import BoxPredictions, numbered_predictions
from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label, Predictions
from sfcore.datasets.layouts.culane import CULanePredictions, slashed
from sfcore.datasets.layouts.folder import refuse_split
from sfcore.datasets.numbers import items, numbers, points
from sfcore.datasets.scenes import NAMES
from sfcore.errors import InputError
from sfcore.files import JSON, head_of, read_text
from sfcore.tasks.base import TASKS

LABELS = "labels.json"
_BETWEEN = re.compile(r"[\s,]*")


@LAYOUTS.register("scenes")
@dataclass
class Scenes(Dataset):
    """A folder of rendered scenes, scored as CULane's images are."""

    metric = "culane"

    text: str = field(default="", repr=False)
    places: dict[str, int] = field(default_factory=dict, repr=False)  # of each frame's entry in the text

    @staticmethod
    def fits(root: Path) -> bool:
        """Whether it has a list of labels, or what a power cut left of one, which must not pass for no labels."""
        return (root / LABELS).is_file() and head_of(root / LABELS).strip("\0 \t\r\n")[:1] in ("[", "")

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Scenes:
        refuse_split(root, split)
        path = root / LABELS
        if not path.is_file():
            raise InputError(f"there is no file {path}: name a folder that sfcore scenes wrote")
        frames, places, problems, text = [], {}, list[str](), ""
        try:
            text = read_text(path)
            for place, entry in _entries(text):
                frame = _frame(root, entry)
                if frame.name in places:
                    problems.append(f"{path} repeats {frame.name}, whose first labels are used: render it again")
                    continue
                frames.append(frame)
                places[frame.name] = place
        except InputError as error:
            problems = [str(error)]
        except (ValueError, KeyError, TypeError, RecursionError):
            problems.append(f"{path} is damaged after {len(frames)} scenes, and only those are used: render it again")
        return cls(root, "", frames, problems, text, places)

    def label(self, frame: Frame) -> Label:
        entry: dict[str, Any] = JSON.raw_decode(self.text, self.places[frame.name])[0]
        try:
            return self._label(entry)
        except (KeyError, ValueError, TypeError) as error:
            things = TASKS[self.task].words.plural
            raise InputError(
                f"the {things} of {frame.name} in {self.root / LABELS} are damaged: render it again"
            ) from error

    def _label(self, entry: dict[str, Any]) -> Label:
        return Label([points(lane) for lane in items(entry["lanes"])])

    def predictions(self, path: Path) -> Predictions:
        return CULanePredictions(path, self.frames)

    def labelled(self, task: str) -> Dataset | None:
        if task != SceneBoxes.task or '"boxes"' not in self.text:  # versions before labelled lanes alone
            return super().labelled(task)
        return SceneBoxes(self.root, self.split, self.frames, self.problems, self.text, self.places, names=NAMES)


class SceneBoxes(Scenes):
    """The vehicles of the same scenes, scored as COCO's boxes are."""

    metric = "coco"
    task = "boxes2d"

    def _label(self, entry: dict[str, Any]) -> Label:
        return Label([_box(*items(box)) for box in items(entry["boxes"])])

    def predictions(self, path: Path) -> BoxPredictions:
        return numbered_predictions(path, self.frames, self.names)


def _box(name: str, left: Any, top: Any, right: Any, bottom: Any) -> np.ndarray:
    return np.array([*numbers([left, top, right, bottom]), NAMES.index(name), 1.0])


def _frame(root: Path, entry: dict[str, Any]) -> Frame:
    name, scenario = entry["file"], entry.get("scenario") or ""
    if not isinstance(name, str) or not isinstance(scenario, str):
        raise TypeError(f"{name!r} or {scenario!r} is no text")
    return Frame(name, root / slashed(name, root), scenario)


def _entries(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON list one by one, each with its place; raises ValueError where the list is damaged."""
    place = _skip(text, text.index("[") + 1)
    while text[place : place + 1] != "]":
        entry, end = JSON.raw_decode(text, place)
        yield place, entry
        place = _skip(text, end)
    if text[place + 1 :].strip():
        raise ValueError("something follows the list")


def _skip(text: str, place: int) -> int:
    """The next place that is neither a space nor a comma."""
    match = _BETWEEN.match(text, place)
    return match.end() if match else place
