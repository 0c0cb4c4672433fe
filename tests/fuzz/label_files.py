"""Small datasets of every layout as other systems and accidents leave them, and what is made of each frame.

A frame of a dataset is *read* with the lanes that the reference reader finds, or *refused* by the name of its file; all
else is *wrong*: other lanes, a frame that vanishes without a word, a sound file that is refused.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np

from sfcore.datasets.dataset import Dataset, Frame, open_dataset
from sfcore.datasets.layouts import llamas
from sfcore.datasets.layouts.culane import SCENARIOS
from sfcore.errors import InputError
from sfcore.names import printable
from tests.fuzz import reference
from tests.fuzz.texts import encoded, hurt, leave_behind, replace_by_no_file

PICTURE = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
FOLDERS = ("a", "b c", "道路", "<i>&", "é", os.fsdecode("道路".encode("gbk")))  # the last: no text
HEIGHTS = [160, 170, 180, 190]
Answer = Any  # what is compared of a frame; None for damage


@dataclass
class Written:
    """A dataset on disk.

    Attributes:
        root: its folder.
        expect: what the reference reader says of its frames, by their names.
        index: the files that name its frames; without any each frame has only its own file.
        own: the label file of a frame.
        answer: what sfcore says of a frame, as ``expect`` has it.
        split: which part is opened.
        harmed: files that are no longer what they were.
    """

    root: Path
    expect: Callable[[], dict[str, Answer]]
    index: list[Path]
    own: Callable[[str], Path]
    answer: Callable[[Dataset, Frame], Answer] = lambda dataset, frame: _lanes(dataset.label(frame))
    split: str | None = None
    harmed: set[Path] = field(default_factory=set)


def outcomes(root: Path, layout: str, random: Random, harm: float) -> Counter[str]:
    """How many frames of a random dataset are tried, read and refused.

    Args:
        root: an empty folder.
        harm: the share of files that meet with an accident.

    Raises:
        AssertionError: a frame is wrong.
    """
    written = LAYOUTS[layout](root, random)
    for file in sorted(file for file in root.rglob("*") if file.is_file()):
        if random.random() < (harm if file.suffix != ".png" else harm / 4):
            written.harmed.add(file)
            file.write_bytes(hurt(file.read_bytes(), random))
            if random.random() < 0.1:
                replace_by_no_file(file, random)
        if random.random() < 0.1:
            leave_behind(file, random)
    return judged(written)


def judged(written: Written) -> Counter[str]:
    """What is made of each frame of a dataset."""
    expected, done = written.expect(), Counter[str]()
    try:
        dataset = open_dataset(written.root, written.split)
        said = "\n".join(dataset.problems)
    except InputError as error:
        assert written.harmed and printable(written.root) in str(error), error
        return Counter(tried=len(expected), refused=len(expected))
    names = [frame.name for frame in dataset.frames]
    assert len(names) == len(set(names)) and (written.harmed or not said), (names, said)
    for name in expected.keys() - set(names):
        assert any(printable(file) in printable(said) for file in written.index), f"{name} vanished"
        done += Counter(tried=1, refused=1)
    for frame in dataset.frames:
        found = _judged(written, dataset, frame, expected)
        done += Counter({"tried": 1, found: 1})
    return done


def _judged(written: Written, dataset: Dataset, frame: Frame, expected: dict[str, Answer]) -> str:
    try:
        dataset.size(frame)
        found = written.answer(dataset, frame)
    except InputError as error:
        assert printable(written.root) in str(error), error
        assert written.harmed & {*written.index, written.own(frame.name), frame.image}, (
            f"a sound file is refused: {error}"
        )
        return "refused"
    assert expected.get(frame.name) is not None, f"{frame.name} is damaged, but read as {found}"
    assert found == expected[frame.name], f"{frame.name} is {expected[frame.name]}, but read as {found}"
    return "read"


def _lanes(label: Any) -> Answer:
    return [lane.tolist() for lane in label.lanes]


def _random_lanes(random: Random) -> reference.LaneList:
    """Up to three lanes of two to four points."""
    xs = [[random.uniform(0, 99) for _ in range(random.randrange(2, 5))] for _ in range(random.randrange(4))]
    return [[[round(x, random.randrange(3)), 100.0 - 10 * place] for place, x in enumerate(lane)] for lane in xs]


def _image(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(PICTURE)


def _write(path: Path, text: str, random: Random) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(text, random))
    return path


def _named(random: Random, suffix: str = ".png", folders: tuple[str, ...] = FOLDERS) -> list[str]:
    return [f"{random.choice(folders)}/{place}{suffix}" for place in range(random.randrange(1, 5))]


def _culane(root: Path, random: Random) -> Written:
    names, scenario = _named(random), {}
    for name in names:
        _image(root, name)
        lanes = _random_lanes(random)
        text = "".join(" ".join(f"{x} {y}" for x, y in lane) + "\n" for lane in lanes)
        _write((root / name).with_suffix(".lines.txt"), text, random)
        scenario[name] = random.choice(SCENARIOS)
    back = "\\" if random.random() < 0.2 else "/"
    lists = {"test": names, **{s: [name for name in names if scenario[name] == s] for s in SCENARIOS}}
    index = []
    for number, (each, members) in enumerate(lists.items()):
        path = root / "list" / ("test.txt" if not number else f"test_split/test{number - 1}_{each}.txt")
        text = "".join(f"{random.choice(('', back))}{name.replace('/', back)}\n" for name in members)
        index.append(_write(path, text, random))

    def own(name: str) -> Path:
        return (root / name).with_suffix(".lines.txt")

    def expect() -> dict[str, Answer]:
        listed = {path: reference.names(path, root) or [] for path in index}
        placed = {name: path.stem.partition("_")[2] for path in reversed(index[1:]) for name in listed[path]}
        found = {name: reference.culane(own(name)) for name in listed[index[0]]}
        return {name: lanes and (lanes, placed.get(name, "")) if lanes else lanes for name, lanes in found.items()}

    def answer(dataset: Dataset, frame: Frame) -> Answer:
        lanes = _lanes(dataset.label(frame))
        assert frame.scenario or dataset.problems, f"{frame.name} has lost its scenario without a word"
        return (lanes, frame.scenario) if lanes else lanes

    return Written(root, expect, index, own, answer)


def _curvelanes(root: Path, random: Random) -> Written:
    part = root / "valid"
    names = [
        f"images/{folder}{place}.png" for place, folder in enumerate(random.sample(FOLDERS, random.randrange(1, 5)))
    ]

    def own(name: str) -> Path:
        return part / "labels" / f"{name.rpartition('/')[2].rpartition('.')[0]}.lines.json"

    for name in names:
        _image(part, name)
        spell = random.choice((str, float))
        lines = [[{"x": spell(x), "y": spell(y)} for x, y in lane] for lane in _random_lanes(random)]
        _write(own(name), json.dumps({"Lines": lines}, indent=random.choice((None, 1))) + "\n", random)
    index = (
        [_write(part / "valid.txt", "".join(f"{name}\n" for name in names), random)] if random.random() < 0.7 else []
    )

    def expect() -> dict[str, Answer]:
        listed = reference.names(index[0], part) or [] if index and index[0].is_file() else names
        return {name: reference.curvelanes(own(name)) for name in listed}

    return Written(root, expect, index, own)


def _scenes(root: Path, random: Random) -> Written:
    names = _named(random)
    entries = [{"file": name, "lanes": _random_lanes(random), "scenario": random.choice("xy")} for name in names]
    for name in names:
        _image(root, name)
    path = _write(root / "labels.json", json.dumps(entries, ensure_ascii=False, indent=1) + "\n", random)

    def expect() -> dict[str, Answer]:
        return {name: reference.scene(entry) for name, entry in reference.scenes(path).items() if isinstance(name, str)}

    return Written(root, expect, [path], lambda name: path)


def _tusimple(root: Path, random: Random) -> Written:
    index: list[Path] = []
    for number in range(random.randrange(1, 4)):
        lines = []
        for name in _named(random, f"-{number}.png"):
            _image(root, name)
            rows = [
                [random.choice((-2, None, place, place + 0.5)) for place in range(4)]
                for _ in range(random.randrange(4))
            ]
            entry = {"raw_file": name, "lanes": rows, "h_samples": HEIGHTS}
            lines.append(json.dumps(dict(random.sample([*entry.items()], 3)), ensure_ascii=False) + "\n")
        index.append(_write(root / f"label_data_{number}.json", "".join(lines), random))

    def expect() -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for path in index:
            for name, answer in reference.tusimple(path).items():
                found.setdefault(name, answer)
        return found

    def answer(dataset: Dataset, frame: Frame) -> Answer:
        label = dataset.label(frame)
        assert label and label.columns is not None and label.heights is not None
        return label.columns.tolist(), label.heights.tolist()

    return Written(root, expect, index, lambda name: index[0], answer, "train")


def _llamas(root: Path, random: Random) -> Written:
    def own(name: str) -> Path:
        return (root / "labels" / "valid" / name).with_suffix(".json")

    names = _named(random)
    for name in names:
        _image(root / "color_images" / "valid", name.replace(".png", "_color_rect.png"))
        lanes = [{"lane_id": lane, "markers": _markers(random)} for lane in random.sample(("l1", "l0", "r0", "r1"), 3)]
        _write(own(name), json.dumps({"lanes": lanes}) + "\n", random)

    def expect() -> dict[str, Answer]:
        return {name: _plain_llamas(own(name)) for name in names if own(name).parent.is_dir()}

    return Written(root, expect, [own(name) for name in names], own)


def _markers(random: Random) -> list[dict[str, Any]]:
    def point() -> dict[str, Any]:
        return {axis: random.choice((int, str))(random.randrange(100, 700)) for axis in "xy"}

    def marker() -> dict[str, Any]:
        return {"pixel_start": point(), "pixel_end": point(), "world_start": {"z": random.uniform(-1, 30)}}

    return [marker() for _ in range(random.randrange(1, 4))]


def _plain_llamas(path: Path) -> Answer:
    plain = path.parents[4] / "plain.json"  # beside the dataset
    try:
        reference.llamas(path, plain)
        return [lane.tolist() for lane in llamas.read_lanes(plain)]
    except InputError:
        return None


LAYOUTS: dict[str, Callable[[Path, Random], Written]] = {
    "culane": _culane,
    "curvelanes": _curvelanes,
    "llamas": _llamas,
    "scenes": _scenes,
    "tusimple": _tusimple,
}
