"""CULane: lists of images under ``list/``, and beside each image its lanes in a ``.lines.txt`` file.

A line of such a file is a lane, ``x y x y …`` in pixels. A blank line is a lane of no points: the official tool counts
it, so it is kept. Predictions are files of the same names and format in a folder of their own.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, FolderPredictions, Frame, Label
from sfcore.datasets.numbers import number
from sfcore.errors import InputError
from sfcore.files import decoded, explained, read_text, text_lines
from sfcore.roots import readable
from sfcore.tasks.lanes import Polyline

PARTS = ("test", "val", "train")
SCENARIOS = ("normal", "crowd", "hlight", "shadow", "noline", "arrow", "curve", "cross", "night")
_SPACES = " \t\v\f\r"
_WORD = re.compile(r"[^ \t\v\f\r]+")  # what the official tool takes for one: other spaces are not in between
_USUAL = re.compile(r"[0-9.eE+\s-]*", re.ASCII)  # what files of lanes consist of
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
    usual = bool(_USUAL.fullmatch(text))  # then the functions of Python, which know more spaces and digits, are faster
    read, words_of = (float, str.split) if usual else (number, _WORD.findall)
    for place, line in enumerate(text_lines(text), 1):
        words = words_of(line)
        values = _leading_numbers(words, read)
        if len(values) < len(words) or len(values) % 2 or "\r" in line.strip():  # may be two lanes
            damaged.append(place)
        lanes.append(np.array(values[: len(values) // 2 * 2]).reshape(-1, 2))
    return lanes, damaged


def read_lanes(path: Path) -> tuple[list[Polyline], list[int]]:
    """What :func:`parse_lanes` says of a file.

    Raises:
        InputError: it cannot be read.
    """
    return parse_lanes(read_text(path, "file of lanes"))


def damage(path: Path, lines: Sequence[int]) -> str:
    """The message about damaged lines of a file."""
    numbers = ", ".join(str(line) for line in lines)
    return f"{path} is damaged in line {numbers}: a line must hold x y x y …; copy or make the file again"


def read_list(path: Path, root: Path) -> list[str]:
    r"""The images that a list names, without the ``/`` in front; of a list with more columns, the first.

    Args:
        root: where they lie. A ``\`` in a name is a ``/``, unless a file there has it in its name.

    Raises:
        InputError: it cannot be read, or names a file outside of the dataset.
    """
    with explained(path, "read"):
        lines = text_lines(decoded(readable(path).read_bytes(), path))
    several = path.stem.endswith("_gt")
    words = [words[0] if several else line.strip(_SPACES) for line in lines if (words := _WORD.findall(line))]
    names = [slashed(word, root).lstrip("/") for word in words]
    for name, word in zip(names, words, strict=True):
        if not name or ".." in Path(name).parts:
            raise InputError(f"{path} names {word}, which is no image or outside of the dataset: mend the list")
    return names


def slashed(name: str, root: Path) -> str:
    r"""A name with ``/`` in place of the ``\`` of Windows, unless a file in ``root`` has that in its name."""
    return name.replace("\\", "/") if "\\" in name and not os.path.exists(root / name.lstrip("/")) else name


def repeated(path: Path, names: Sequence[str]) -> list[str]:
    """What is wrong with a list that names images more than once: a line, or none."""
    more = [name for name, count in Counter(names).items() if count > 1]
    return [f"{path} names {len(more)} images more than once, such as {more[0]}: mend the list"] if more else []


def unplaced(names: Sequence[str], placed: Container[str]) -> list[str]:
    """What is wrong where scenarios are known, but not of all images: a line, or none."""
    lost = [name for name in names if name not in placed]
    said = f"{len(lost)} of {len(names)} images are in no list of a scenario, such as"
    return [f"{said} {lost[0]}: mend the lists"] if lost else []


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
        listed = read_list(path, root)
        names, problems = list(dict.fromkeys(listed)), repeated(path, listed)
        scenario: dict[str, str] = {}
        if split == "test":
            scenario, more = _scenarios(root, names)
            problems += more
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


def _scenarios(root: Path, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The scenario of each test image, and what is wrong with the nine lists, unless all are missing."""
    lists = {scenario: _list_file(root, scenario) for scenario in SCENARIOS}
    missing = [path for path in lists.values() if not path.is_file()]
    found: dict[str, str] = {}
    if len(missing) == len(lists):
        return found, []
    problems = [f"{path} is missing, so its images have no scenario: extract CULane's lists" for path in missing]
    for scenario, path in lists.items():
        try:
            listed = read_list(path, root) if path.is_file() else []
        except InputError as error:
            problems.append(str(error))
            continue
        twice = [name for name in listed if found.setdefault(name, scenario) != scenario]
        problems += [f"{path} names {name}, which is in the list of {found[name]}: mend one" for name in twice[:1]]
    return found, problems or unplaced(names, found)


def _sound_lanes(path: Path) -> list[Polyline]:
    lanes, damaged = read_lanes(path)
    if damaged:
        raise InputError(damage(path, damaged))
    return lanes


def _leading_numbers(words: Iterable[str], read: Callable[[str], float]) -> list[float]:
    """The finite numbers up to the first word that is none."""
    values: list[float] = []
    for word in words:
        try:
            value = read(word)
        except ValueError:
            break
        if not math.isfinite(value):
            break
        values.append(value)
    return values
