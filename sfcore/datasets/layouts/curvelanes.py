"""CurveLanes: ``valid/`` and ``train/`` with images and their lanes as JSON; the images of ``test/`` have no labels.

``labels/NAME.lines.json`` holds ``{"Lines": [[{"x": "…", "y": "…"}, …], …]}`` in pixels of ``images/NAME.jpg``.
Predictions are files of the same names and format in a folder of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, FolderPredictions, Frame, Label
from sfcore.datasets.images import FORMATS
from sfcore.datasets.layouts.culane import read_list
from sfcore.errors import InputError
from sfcore.lanes import Polyline

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
    try:
        lines = json.loads(path.read_bytes())["Lines"]
        lanes = [np.array([(float(point["x"]), float(point["y"])) for point in line]) for line in lines if line]
    except OSError as error:
        raise InputError(f"there are no lanes {path} ({error.strerror}): check the path, or make the file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(_damage(path)) from error
    if not all(np.isfinite(lane).all() for lane in lanes):
        raise InputError(_damage(path))
    return lanes


def labelled_names(folder: Path) -> list[str]:
    """The images that the ``.lines.json`` files of a folder belong to, sorted.

    Raises:
        InputError: there is no such folder, or no such file in it.
    """
    names = sorted(file.name.removesuffix(SUFFIX) for file in folder.glob(f"*{SUFFIX}"))
    if not names:
        raise InputError(f"{folder} holds no {SUFFIX} files: name the folder of the labels, such as valid/labels")
    return [f"images/{name}.jpg" for name in names]


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
        return cls(root, split, [Frame(name, folder / name) for name in _names(folder)])

    def label(self, frame: Frame) -> Label | None:
        """The frame's lanes; None in the test split, whose labels were not published."""
        folder = self.root / self.split / "labels"
        if self.split == "test" and not folder.is_dir():
            return None
        return Label(read_lanes(lanes_file(folder, frame.name)))

    def predictions(self, path: Path) -> CurveLanesPredictions:
        return CurveLanesPredictions(path, self.frames)


def _names(folder: Path) -> list[str]:
    """The images of a split, as its list names them: ``images/NAME.jpg``."""
    listed = folder / f"{folder.name}.txt"
    if listed.is_file():
        return read_list(listed)
    return sorted(f"images/{file.name}" for file in (folder / "images").iterdir() if file.suffix.lower() in FORMATS)


def _damage(path: Path) -> str:
    return f'{path} is damaged: it must hold {{"Lines": [[{{"x": 1.0, "y": 2.0}}, …], …]}}; copy or make it again'
