"""Sweeps with a ``labels.json``, and rendered sweeps that lie in no folder, ``sweeps:64``.

The file is ``{"names": [class, …], "sweeps": [{"file": …, "boxes": [[x, y, z, length, width, height, yaw], …],
"labels": [place of the class, …]}, …]}``. Boxes farther away than :data:`NEAR` are neutral, as in nuScenes' benchmark:
nobody has to find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label, Predictions
from sfcore.datasets.layouts.culane import repeated, slashed
from sfcore.datasets.layouts.folder import refuse_split
from sfcore.datasets.lidar import NAMES
from sfcore.datasets.lidar.files import FORMATS
from sfcore.datasets.lidar.samples import LABELS
from sfcore.datasets.numbers import items, number, numbers
from sfcore.datasets.source import source_of
from sfcore.datasets.sources.sweeps import RenderedSweeps, rendered
from sfcore.datasets.sweep_label import SweepLabel
from sfcore.errors import InputError
from sfcore.files import explained, head_of, parse_json, read_text, write_atomic

NEAR = 40.0  # metres on the ground


class SweepPredictions(Predictions):
    """A text file a sweep, a line a box: class, x, y, z, length, width, height, yaw, score.

    Args:
        folder: made when the first frame is written.
        dataset: knows the frames and the classes.
    """

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        self._folder, self._dataset = folder, dataset

    def done(self) -> set[str]:
        return {frame.name for frame in self._dataset.frames if self._file(frame).is_file()}

    def write(self, frame: Frame, objects: Sequence[np.ndarray], label: Label | None, milliseconds: float) -> None:
        path, names = self._file(frame), self._dataset.names
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        rows = ([names[int(box[7])], *(f"{value:.4f}" for value in (*box[:7], box[8]))] for box in objects)
        write_atomic(path, "".join(" ".join(row) + "\n" for row in rows).encode())

    def read(self, frame: Frame) -> list[np.ndarray]:
        text = read_text(self._file(frame))
        try:
            return [_box(line.split(), self._dataset.names) for line in text.splitlines()]
        except ValueError as error:
            raise InputError(f"{self._file(frame)} is damaged ({error}): predict it again") from error

    def _file(self, frame: Frame) -> Path:
        return self._folder / f"{frame.name}.txt"


def _box(words: list[str], names: tuple[str, ...]) -> np.ndarray:
    if len(words) != 9 or words[0] not in names:
        raise ValueError(f"{' '.join(words)!r} is no class and eight numbers")
    values = [number(word) for word in words[1:]]
    return np.array([*values[:7], names.index(words[0]), values[7]])


class _Judged(Dataset):
    """What both have in common."""

    metric = "kitti"
    task = "boxes3d"

    def size(self, frame: Frame) -> tuple[int, int]:
        """A sweep has no pixels; what reads it says how large its pictures are."""
        return 1, 1

    def predictions(self, path: Path) -> SweepPredictions:
        return SweepPredictions(path, self)


@LAYOUTS.register("sweeps")
@dataclass
class Sweeps(_Judged):
    """A folder of sweeps with a list of their boxes."""

    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @staticmethod
    def fits(root: Path) -> bool:
        """Whether it has a list of sweeps; that of rendered scenes begins with a bracket."""
        return (root / LABELS).is_file() and '"sweeps"' in head_of(root / LABELS)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Sweeps:
        refuse_split(root, split)
        path = root / LABELS
        text = read_text(path)
        try:
            content = parse_json(text)
            names = tuple(str(name) for name in items(content["names"]))
            listed = [(slashed(entry["file"], root), entry) for entry in items(content["sweeps"])]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}): copy it again, or write it anew") from error
        problems = repeated(path, [name for name, _ in listed])
        entries = dict(reversed(listed))  # of what is named twice the first counts
        frames = [Frame(name, root / name) for name in dict.fromkeys(name for name, _ in listed)]
        return cls(root, "", frames, problems, entries, names=names)

    def label(self, frame: Frame) -> SweepLabel:
        entry = self.entries[frame.name]
        try:
            boxes = np.array([numbers(box) for box in items(entry["boxes"])]).reshape(-1, 7)
            labels = numbers(entry["labels"])
            if not (len(labels) == len(boxes) and set(labels) <= set(range(len(self.names)))):
                raise ValueError(f"each box must have the place of one of {len(self.names)} classes")
            if (boxes[:, 3:6] <= 0).any():
                raise ValueError("length, width and height must be above 0")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"the boxes of {frame.name} in {self.root / LABELS} are damaged ({error}): write the file anew"
            ) from error
        return label_of(boxes, labels, self.names)


@LAYOUTS.register("rendered-sweeps")
class RenderedSweepSet(_Judged):
    """The sweeps of a count and a seed."""

    @staticmethod
    def fits(root: Path) -> bool:
        return isinstance(source_of(root), RenderedSweeps)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> RenderedSweepSet:
        sweeps = RenderedSweeps().frames(root, split, slice(None), FORMATS)
        return cls(root, frames=[Frame(sweep.name, sweep) for sweep in sweeps], names=NAMES)

    def label(self, frame: Frame) -> SweepLabel:
        found = rendered(frame.image)
        return label_of(found.boxes, found.labels, self.names)


def label_of(boxes: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> SweepLabel:
    """(K, 7) boxes and (K,) classes as a label; those farther away than NEAR are neutral."""
    rows = np.c_[boxes.astype(np.float64), labels, np.ones(len(boxes))]
    near = np.hypot(boxes[:, 0], boxes[:, 1]) <= NEAR
    return SweepLabel(list(rows[near]), neutral=list(rows[~near]), names=names)
