"""Rendered scenes: images with a ``labels.json``, as ``sfcore scenes`` writes them.

The file is a list of ``{"file": …, "lanes": [[[x, y], …], …], "scenario": …}``. Only its text stays in memory: a lane
takes tens of times more as Python numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.datasets.layouts.folder import refuse_split
from sfcore.errors import InputError

LABELS = "labels.json"
_DECODER, _BETWEEN = json.JSONDecoder(), re.compile(r"[\s,]*")


@LAYOUTS.register("scenes")
@dataclass
class Scenes(Dataset):
    """A folder of rendered scenes, scored as CULane's images are."""

    metric = "culane"

    text: str = field(default="", repr=False)
    places: dict[str, int] = field(default_factory=dict, repr=False)  # of each frame's entry in the text

    @staticmethod
    def fits(root: Path) -> bool:
        if not (root / LABELS).is_file():
            return False
        with (root / LABELS).open("rb") as file:
            return file.read(64).lstrip()[:1] == b"["

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Scenes:
        refuse_split(root, split)
        path = root / LABELS
        if not path.is_file():
            raise InputError(f"there is no file {path}: name a folder that sfcore scenes wrote")
        text = path.read_text(encoding="utf-8", errors="replace")
        frames, places, problems = [], {}, []
        try:
            for place, entry in _entries(text):
                name = str(entry["file"])
                frames.append(Frame(name, root / name, str(entry.get("scenario", ""))))
                places[name] = place
        except (ValueError, KeyError, TypeError):
            problems = [f"{path} is damaged after {len(frames)} scenes, and only those are used: render it again"]
        return cls(root, "", frames, problems, text, places)

    def label(self, frame: Frame) -> Label:
        entry: dict[str, Any] = _DECODER.raw_decode(self.text, self.places[frame.name])[0]
        try:
            return Label([np.array(lane, np.float64).reshape(-1, 2) for lane in entry["lanes"]])
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"the lanes of {frame.name} in {self.root / LABELS} are damaged: render it again"
            ) from error

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)


def _entries(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON list one by one, each with its place; raises ValueError where the list is damaged."""
    place = _skip(text, text.index("[") + 1)
    while text[place : place + 1] != "]":
        entry, end = _DECODER.raw_decode(text, place)
        yield place, entry
        place = _skip(text, end)


def _skip(text: str, place: int) -> int:
    """The next place that is neither a space nor a comma."""
    match = _BETWEEN.match(text, place)
    return match.end() if match else place
