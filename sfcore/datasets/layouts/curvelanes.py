"""CurveLanes: ``valid/`` and ``train/`` with images and their lanes as JSON; the images of ``test/`` have no labels.

``labels/NAME.lines.json`` holds ``{"Lines": [[{"x": "…", "y": "…"}, …], …]}`` in pixels of ``images/NAME.jpg``.
Predictions are files of the same names and format in a folder of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, FolderPredictions, Frame, Label
from sfcore.datasets.images import image_files
from sfcore.datasets.layouts.culane import read_list, repeated
from sfcore.datasets.numbers import items, number
from sfcore.errors import InputError
from sfcore.files import parse_json, read_text
from sfcore.names import left_behind
from sfcore.tasks.lanes import Polyline

SPLITS = ("valid", "train", "test")
SUFFIX = ".lines.json"


def lanes_file(folder: Path, name: str) -> Path:
    """Where in a folder of labels or predictions the lanes of an image lie; ``images/a.jpg`` has ``a.lines.json``."""
    return folder / f"{PurePosixPath(name).stem}{SUFFIX}"


def read_lanes(path: Path) -> list[Polyline]:
    """The (N, 2) lanes of a ``.lines.json`` file; those without a point are left out, as the published metric does.

    Raises:
        InputError: it is missing or damaged; the message names it.
    """
    text = read_text(path, "file of lanes")
    try:
        lanes = [_lane(line) for line in items(parse_json(text)["Lines"])]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'{path} is damaged ({error}): it must hold {{"Lines": [[{{"x": 1.0, "y": 2.0}}, …], …]}}; '
            "copy or make it again"
        ) from error
    return [lane for lane in lanes if len(lane)]


def labelled_names(folder: Path) -> list[str]:
    """The images that the ``.lines.json`` files of a folder belong to, sorted.

    Raises:
        InputError: there is no such folder, or no such file in it.
    """
    names = _labelled(folder)
    if not names:
        raise InputError(f"{folder} holds no {SUFFIX} files: name the folder of the labels, such as valid/labels")
    return [f"images/{name}.jpg" for name in names]


def _labelled(folder: Path) -> list[str]:
    return sorted(f.name.removesuffix(SUFFIX) for f in folder.glob(f"*{SUFFIX}") if not left_behind(f.name))


class CurveLanesPredictions(FolderPredictions):
    """A folder of ``.lines.json`` files, one a frame."""

    file = staticmethod(lanes_file)

    @staticmethod
    def text(lanes: Sequence[Polyline]) -> str:
        return json.dumps({"Lines": [[{"x": f"{x:.5f}", "y": f"{y:.5f}"} for x, y in lane] for lane in lanes]})

    def read(self, frame: Frame) -> list[Polyline]:
        return read_lanes(lanes_file(self._folder, frame.name))


@LAYOUTS.register("curvelanes")
class CurveLanes(Dataset):
    """A folder of ``valid``, ``train`` and ``test``; a split has the images of its list, or all where it has none."""

    metric = "curvelanes"

    @staticmethod
    def fits(root: Path) -> bool:
        return any((root / split / "labels").is_dir() and (root / split / "images").is_dir() for split in SPLITS)

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if (root / split / "images").is_dir())

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> CurveLanes:
        split = split or next(iter(cls.splits(root)), SPLITS[0])
        if split not in SPLITS:
            raise InputError(f"CurveLanes has no split {split!r}: choose one of {', '.join(SPLITS)}")
        folder = root / split
        if not (folder / "images").is_dir():
            held = ", ".join(cls.splits(root)) or "none"
            raise InputError(f"{folder / 'images'} is missing: extract it, or choose a split of those there ({held})")
        names, problems = _names(folder)
        return cls(root, split, [Frame(name, folder / name) for name in names], problems)

    def label(self, frame: Frame) -> Label | None:
        """The frame's lanes; None in the test split, whose labels were not published."""
        folder = self.root / self.split / "labels"
        if self.split == "test" and not folder.is_dir():
            return None
        return Label(read_lanes(lanes_file(folder, frame.name)))

    def predictions(self, path: Path) -> CurveLanesPredictions:
        return CurveLanesPredictions(path, self.frames)


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """The images of a split, as its list names them: ``images/NAME.jpg``; and what is wrong with the list."""
    path = folder / f"{folder.name}.txt"
    if not path.is_file():
        images = image_files(folder / "images")
        lost = {*_labelled(folder / "labels")} - {image.stem for image in images}
        return sorted([f"images/{image.name}" for image in images] + [f"images/{name}.jpg" for name in lost]), []
    listed = read_list(path, folder)
    return list(dict.fromkeys(listed)), repeated(path, listed)


def _lane(line: Any) -> Polyline:
    return np.array([(number(point["x"]), number(point["y"])) for point in items(line)]).reshape(-1, 2)
