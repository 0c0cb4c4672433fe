"""TuSimple: label files of one JSON object a line beside ``clips/``; predictions in the format that ``lane.py`` reads.

A line holds ``raw_file`` (the image, and the frame's name), ``h_samples`` (heights in pixels) and ``lanes`` (for each
lane the x at every height, negative where it has no point). A prediction has ``run_time`` in milliseconds and no
heights; null, too, stands for no point. Files are indexed by name once and read line by line, so a damaged line costs
one frame.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO, TypeVar

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label, Predictions
from sfcore.datasets.layouts.culane import repeated, slashed
from sfcore.datasets.numbers import certain, items, numbers
from sfcore.errors import InputError
from sfcore.files import HEAD, encoding_of, explained, head_of, parse_line, read_text, text_lines
from sfcore.names import left_behind
from sfcore.roots import readable
from sfcore.tasks.lanes import Polyline

ABSENT = -2.0  # the format's mark for "no point at this height"
TEST, TRAIN = "test_label", "label_data_"  # how the official files are called

T = TypeVar("T")
_KEYS = ('"raw_file"', '"lanes"', '"h_samples"')
_NAME, _COPY = b'"raw_file"', b'"local_image"'
_TEXT = {key: re.compile(key + rb'\s*:\s*("(?:[^"\\]|\\.)*")') for key in (_NAME, _COPY)}


class JsonLines:
    """A file of JSON objects about frames, one a line, found by the frame's name; a missing file has no lines.

    Attributes:
        path: of the file.
        lines: the frames in the file's order, each with its line's number and first byte.
        copies: the ``local_image`` of frames that have one.
        problems: lines that are about no frame, or about one that has a line already; those are passed over.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self._what = path, what  # what a line should be, for messages
        self.lines: dict[str, tuple[int, int]] = {}
        self.copies: dict[str, str] = {}
        self.problems: list[str] = []
        self._count, self._end, self._gap = 0, 0, b""  # whole lines, their bytes, what goes before another one
        self._size = 0  # of the file, with what was cut short at its end
        self._rewritten = _rewritten(path) if path.is_file() else None  # where lines do not end as ours
        if path.is_file():
            with self._opened() as file:
                for line in file:
                    self._index(line)
                    self._size += len(line)

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line. One that a kill cut short, which can only be the last, is dropped before.

        Raises:
            InputError: its frame has a line already, another program wrote to the file, or it cannot be written.
        """
        if entry["raw_file"] in self.lines:
            raise InputError(f"{self.path} holds {entry['raw_file']} already: write it to another file")
        if self._rewritten is not None:
            raise InputError(f"{self.path} was written by another program: choose another file")
        line = json.dumps(entry).encode() + b"\n"
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() != self._size:
                    raise InputError(f"another program changed {self.path}: let it finish, then run this again")
                file.truncate(self._end)
                file.write(self._gap + line)
        self._end += len(self._gap)
        self._index(line)
        self._size = self._end

    def each(self, names: Iterable[str], make: Callable[[dict[str, Any]], T]) -> Iterator[T | InputError]:
        """What ``make`` makes of each frame's entry, or the error that says why it cannot."""
        with self._opened() as file:
            for name in names:
                number, place = self.lines[name]
                file.seek(place)
                try:
                    yield make(parse_line(file.readline()))
                except (ValueError, KeyError, TypeError) as error:
                    reason = f"no {error}" if isinstance(error, KeyError) else error
                    yield InputError(f"line {number} of {self.path} is no {self._what} ({reason}): mend or remove it")

    def one(self, name: str, make: Callable[[dict[str, Any]], T]) -> T:
        """What ``make`` makes of a frame's entry.

        Raises:
            InputError: there is none, or it is damaged.
        """
        if name not in self.lines:
            raise InputError(f"{self.path} has no {self._what} of {name}: add it, or leave the frame out")
        found = next(self.each([name], make))
        if isinstance(found, InputError):
            raise found
        return found

    def _opened(self) -> BinaryIO:
        return self.path.open("rb") if self._rewritten is None else io.BytesIO(self._rewritten)

    def _index(self, line: bytes) -> None:
        place, whole = self._end, line[-1:] == b"\n" or line.rstrip()[-1:] == b"}"
        if whole:
            self._count, self._end, self._gap = self._count + 1, place + len(line), b"" if line[-1:] == b"\n" else b"\n"
        if line.startswith(codecs.BOM_UTF8) and not place:
            line, place = line[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
        if line.isspace() or not line:
            return
        number, name = self._count + (not whole), _text(_NAME, line) if whole else None
        if name is None:
            self.problems.append(f"line {number} of {self.path} is no {self._what}: {line[:40]!r}")
        elif name in self.lines:
            self.problems.append(f"line {number} of {self.path} repeats {name} of line {self.lines[name][0]}")
        else:
            self.lines[name] = number, place
            if copy := _text(_COPY, line):
                self.copies[name] = copy


def _text(key: bytes, line: bytes) -> str | None:
    """The text that a line has under a key, without parsing all of it; None where it has none."""
    place = line.find(key)  # the pattern alone is slower at passing over lanes
    found = _TEXT[key].search(line, place) if place >= 0 else None
    try:
        return parse_line(found[1]) if found else None
    except ValueError:
        return None


def _rewritten(path: Path) -> bytes | None:
    """The file as UTF-8 with the line ends of Unix, where it has neither: from a Windows program, or an old Mac."""
    with readable(path).open("rb") as file:
        head = file.read(HEAD)
    if encoding_of(head)[1] == "utf-8" and (b"\n" in head or b"\r" not in head):
        return None
    lines = text_lines(read_text(path))
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def columns_of(entry: dict[str, Any], heights: int) -> np.ndarray:
    """(lanes, heights) x of an entry's lanes.

    Raises:
        ValueError, KeyError, TypeError: they are no lists of so many numbers.
    """
    lanes = items(entry["lanes"])
    if all(type(lane) is list and len(lane) == heights for lane in lanes):
        found = certain([*chain.from_iterable(lanes)])
        if found is not None:
            return found.reshape(-1, heights)
    columns = [numbers(lane, null=ABSENT) for lane in lanes]
    if any(len(lane) != heights for lane in columns):
        raise ValueError(f"each lane must have {heights} values, as many as heights")
    return np.array(columns).reshape(-1, heights)


def label_of(entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(lanes, H) columns and (H,) heights of an entry; raises as :func:`columns_of`."""
    heights = numbers(entry["h_samples"])
    if not len(heights):
        raise ValueError("h_samples must be a list of numbers")
    return columns_of(entry, len(heights)), heights


def lines_of(columns: np.ndarray, heights: np.ndarray) -> list[Polyline]:
    """The lanes as polylines in the order of the heights, without those that have no point."""
    lines = (np.stack([x, heights], 1)[x >= 0] for x in columns)
    return [line for line in lines if len(line)]


def at_heights(polylines: Sequence[Polyline], heights: np.ndarray) -> np.ndarray:
    """(lanes, heights) the x of each polyline at each height, linear between its points; ABSENT outside it.

    An end point stands for half the distance to its neighbour: the lane was sampled, and its true end lies
    that far beyond on average.
    """
    columns = np.full((len(polylines), len(heights)), ABSENT)
    for column, line in zip(columns, polylines, strict=True):
        if len(line) < 2:
            continue
        x, y = line[np.argsort(line[:, 1], kind="stable")].T
        first, last = (np.array([x[i] + (x[i] - x[j]) / 2, y[i] + (y[i] - y[j]) / 2]) for i, j in ((0, 1), (-1, -2)))
        x, y = np.concatenate([first[:1], x, last[:1]]), np.concatenate([first[1:], y, last[1:]])
        column[:] = np.interp(heights, y, x, left=ABSENT, right=ABSENT)
    return columns


class TuSimplePredictions(Predictions):
    """A file of one JSON object a line, appended frame by frame; a frame has one line.

    Args:
        path: of the file.
        dataset: knows the heights at which each frame's lanes are sampled.
    """

    def __init__(self, path: Path, dataset: TuSimple) -> None:
        self._lines, self._dataset = JsonLines(path, "TuSimple prediction"), dataset
        self.problems = self._lines.problems

    def done(self) -> set[str]:
        return set(self._lines.lines)

    def write(self, frame: Frame, lanes: Sequence[Polyline], label: Label | None, milliseconds: float) -> None:
        columns = at_heights(lanes, self._heights(frame, label))
        columns = np.where(columns >= 0, columns.round(2), ABSENT)
        self._lines.append({"raw_file": frame.name, "lanes": columns.tolist(), "run_time": round(milliseconds, 3)})

    def read(self, frame: Frame) -> list[Polyline]:
        heights = self._heights(frame, None)
        return lines_of(self._lines.one(frame.name, lambda entry: columns_of(entry, len(heights))), heights)

    def _heights(self, frame: Frame, label: Label | None) -> np.ndarray:
        label = label or self._dataset.label(frame)
        if label.heights is None:
            raise InputError(f"the label of {frame.name} has no heights: TuSimple predictions are sampled at them")
        return label.heights


@LAYOUTS.register("tusimple")
@dataclass
class TuSimple(Dataset):
    """A folder of label files beside ``clips/``; a frame that names a ``local_image`` finds it beside the labels.

    The splits are ``test`` (test_label.json), ``train`` (all label_data files) and every label file by its own name.
    """

    metric = "tusimple"

    files: list[JsonLines] = field(default_factory=list, repr=False)

    @staticmethod
    def fits(root: Path) -> bool:
        return bool(_label_files(root))

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        stems = [file.stem for file in _label_files(root)]
        test = ["test"] if TEST in stems else []
        train = ["train"] if any(stem.startswith(TRAIN) for stem in stems) else []
        return (*test, *train, *stems)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> TuSimple:
        splits = cls.splits(root)
        if not splits:
            raise InputError(
                f"{root} holds no TuSimple labels: it must hold {TEST}.json or {TRAIN}….json, one JSON a line"
            )
        split = split or splits[0]
        if split not in splits:
            raise InputError(f"{root} has no split {split!r}: choose one of {', '.join(splits)}")
        chosen = [file for file in _label_files(root) if split in _splits_of(file.stem)]
        files = [JsonLines(file, "TuSimple label") for file in chosen]
        frames = {name: Frame(name, _image(root, file, name)) for file in files for name in file.lines}
        problems = [problem for file in files for problem in file.problems]
        problems += [f"{file.path} is empty: copy it again" for file in files if not (file.lines or file.problems)]
        problems += repeated(root, [name for file in files for name in file.lines])
        return cls(root, split, list(frames.values()), problems, files)

    def label(self, frame: Frame) -> Label:
        file = next((file for file in self.files if frame.name in file.lines), self.files[0])
        columns, heights = file.one(frame.name, label_of)
        return Label([line for line in lines_of(columns, heights) if len(line) > 1], heights, columns)

    def predictions(self, path: Path) -> TuSimplePredictions:
        return TuSimplePredictions(path, self)


def _label_files(root: Path) -> list[Path]:
    """The ``.json`` files directly in ``root`` that are called or begin like label files, sorted."""
    return [file for file in sorted(root.glob("*.json")) if _is_label_file(file)]


def _is_label_file(file: Path) -> bool:
    if left_behind(file.name) or not file.is_file():
        return False
    if file.stem == TEST or file.stem.startswith(TRAIN):
        return True  # whatever is left in it: frames must not vanish without a word
    head = head_of(file)
    return head.lstrip()[:1] == "{" and all(key in head for key in _KEYS)


def _splits_of(stem: str) -> tuple[str, ...]:
    """The splits that a label file is part of."""
    return (stem, *(["test"] if stem == TEST else []), *(["train"] if stem.startswith(TRAIN) else []))


def _image(root: Path, file: JsonLines, name: str) -> Path:
    if name in file.copies:
        return root / PureWindowsPath(file.copies[name]).name
    return root / slashed(name, root).lstrip("/")
