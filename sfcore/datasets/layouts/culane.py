"""CULane: lists of images under ``list/``, and beside each image its lanes in a ``.lines.txt`` file.

A line of such a file is a lane, ``x y x y …`` in pixels. A blank line is a lane of no points: the official tool counts
it, so it is kept. Predictions are files of the same names and format in a folder of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, FolderPredictions, Frame, Label
from sfcore.errors import InputError
from sfcore.lanes import Polyline

PARTS = ("test", "val", "train")
SCENARIOS = ("normal", "crowd", "hlight", "shadow", "noline", "arrow", "curve", "cross", "night")
_LISTS = {
    **{part: (f"{part}.txt", f"{part}_gt.txt") for part in PARTS},
    **{scenario: (f"test_split/test{number}_{scenario}.txt",) for number, scenario in enumerate(SCENARIOS)},
}


def lanes_file(folder: Path, name: str) -> Path:
    """Where the lanes of an image lie: ``a/b.jpg`` has ``a/b.lines.txt``."""
    return (folder / name.lstrip("/")).with_suffix(".lines.txt")


def parse_lanes(text: str) -> tuple[list[Polyline], list[int]]:
    """The (N, 2) lanes of a ``.lines.txt`` file, and the numbers of its lines that are not pairs of finite numbers.

    As the official tool does, such a line is read up to the last pair before what is wrong with it.
    """
    lanes, damaged = [], []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        words = line.split()
        values = _leading_numbers(words)
        if len(values) < len(words) or len(values) % 2:
            damaged.append(number)
        lanes.append(np.array(values[: len(values) // 2 * 2]).reshape(-1, 2))
    return lanes, damaged


def read_lanes(path: Path) -> tuple[list[Polyline], list[int]]:
    """What :func:`parse_lanes` says of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise InputError(f"there are no lanes {path} ({error.strerror}): check the path, or make the file") from error
    return parse_lanes(text)


def damage(path: Path, lines: Sequence[int]) -> str:
    """The message about damaged lines of a file."""
    numbers = ", ".join(str(line) for line in lines)
    return f"{path} is damaged in line {numbers}: a line must hold x y x y …; copy or make the file again"


def read_list(path: Path) -> list[str]:
    """The images that a list names, without the ``/`` in front; of a list with more columns, the first.

    Raises:
        InputError: it cannot be read, or names a file outside of the dataset.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"there is no list {path} ({error.strerror}): copy or extract it") from error
    several = path.stem.endswith("_gt")
    names = [(line.split()[0] if several else line.strip()).lstrip("/") for line in lines if line.strip()]
    for name in names:
        if ".." in Path(name).parts:
            raise InputError(f"{path} names {name}, which is outside of the dataset: mend the list")
    return names


class CULanePredictions(FolderPredictions):
    """A folder of ``.lines.txt`` files, one a frame, at the paths that the lists name."""

    file = staticmethod(lanes_file)

    @staticmethod
    def text(lanes: Sequence[Polyline]) -> str:
        return "".join(" ".join(f"{x:.5f} {y:.5f}" for x, y in lane) + "\n" for lane in lanes)

    def read(self, frame: Frame) -> list[Polyline]:
        return _sound_lanes(lanes_file(self._folder, frame.name))


@LAYOUTS.register("culane")
class CULane(Dataset):
    """A folder with ``list/`` and the images; the splits are test, val, train and the nine scenarios of test."""

    metric = "culane"

    @staticmethod
    def fits(root: Path) -> bool:
        return any(_list_file(root, part).is_file() for part in PARTS)

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        return tuple(split for split in _LISTS if _list_file(root, split).is_file())

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> CULane:
        split = split or next(iter(cls.splits(root)), PARTS[0])
        if split not in _LISTS:
            raise InputError(f"CULane has no split {split!r}: choose one of {', '.join(_LISTS)}")
        path = _list_file(root, split)
        if not path.is_file():
            held = ", ".join(cls.splits(root)) or "none"
            raise InputError(f"{path} is missing: extract CULane's lists, or choose a split of those there ({held})")
        names = read_list(path)
        scenario: dict[str, str] = {}
        problems: list[str] = []
        if split == "test":
            scenario, problems = _scenarios(root)
        elif split in SCENARIOS:
            scenario = dict.fromkeys(names, split)
        return cls(root, split, [Frame(name, root / name, scenario.get(name, "")) for name in names], problems)

    @property
    def scenarios(self) -> tuple[str, ...]:
        held = {frame.scenario for frame in self.frames}
        return tuple(scenario for scenario in SCENARIOS if scenario in held)

    def label(self, frame: Frame) -> Label:
        return Label(_sound_lanes(lanes_file(self.root, frame.name)))

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)


def _list_file(root: Path, split: str) -> Path:
    """The list of a split; where there is none, the one that should be there."""
    files = [root / "list" / name for name in _LISTS[split]]
    return next((file for file in files if file.is_file()), files[0])


def _scenarios(root: Path) -> tuple[dict[str, str], list[str]]:
    """The scenario of each test image, and which of the nine lists are missing, unless all are."""
    lists = {scenario: _list_file(root, scenario) for scenario in SCENARIOS}
    missing = [path for path in lists.values() if not path.is_file()]
    found = {name: scenario for scenario, path in lists.items() if path.is_file() for name in read_list(path)}
    if len(missing) == len(lists):
        return found, []
    return found, [f"{path} is missing, so its images have no scenario: extract CULane's lists" for path in missing]


def _sound_lanes(path: Path) -> list[Polyline]:
    lanes, damaged = read_lanes(path)
    if damaged:
        raise InputError(damage(path, damaged))
    return lanes


def _leading_numbers(words: Iterable[str]) -> list[float]:
    """The finite numbers up to the first word that is none."""
    values: list[float] = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            break
        if not math.isfinite(value):
            break
        values.append(value)
    return values
