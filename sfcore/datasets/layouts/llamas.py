"""LLAMAS: a JSON file of dashes ("markers") for each image of ``valid`` and ``train``; ``test`` has no labels.

``labels/SPLIT/RECORD/NAME.json`` belongs to ``color_images/SPLIT/RECORD/NAME_color_rect.png``. Lanes are made of
markers by the rules that results are reported with: lanes of little height or one marker are dropped, the two nearest
to each side are kept, the marker nearest to the car is prolonged to the border of the image, and where markers share a
row their mean counts. Predictions are files as CULane's, ``RECORD/NAME.lines.txt``.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.datasets.numbers import items, number
from sfcore.errors import InputError
from sfcore.files import parse_json, read_text
from sfcore.names import left_behind
from sfcore.tasks.lanes import Polyline

SPLITS = ("valid", "train", "test")
IMAGE = "_color_rect.png"
WIDTH, HEIGHT = 1276, 717
LEAST_HEIGHT = 20  # pixels from the first marker's start to the last one's
MOST = 100_000  # pixels that a marker may be away; damage puts it further
LEAST_MARKER = 3  # pixels; of a lower one only the start counts

Marker = dict[str, dict[str, float]]


@LAYOUTS.register("llamas")
class Llamas(Dataset):
    """A folder with ``labels`` and ``color_images``; what has only one of the two is a frame that lacks the other."""

    metric = "llamas"

    @staticmethod
    def fits(root: Path) -> bool:
        return (root / "color_images").is_dir() and any((root / "labels" / split).is_dir() for split in SPLITS)

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if (root / "color_images" / split).is_dir())

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Llamas:
        split = split or next(iter(cls.splits(root)), SPLITS[0])
        if split not in SPLITS:
            raise InputError(f"LLAMAS has no split {split!r}: choose one of {', '.join(SPLITS)}")
        images, labels = root / "color_images" / split, root / "labels" / split
        if not images.is_dir():
            raise InputError(f"{images} is missing: extract it, or choose a split of those there")
        found = {file.relative_to(images).as_posix().removesuffix(IMAGE) for file in images.glob(f"*/*{IMAGE}")}
        found |= {file.relative_to(labels).with_suffix("").as_posix() for file in labels.glob("*/*.json")}
        names = sorted(name for name in found if not left_behind(name))
        return cls(root, split, [Frame(f"{name}.png", images / f"{name}{IMAGE}") for name in names])

    def label(self, frame: Frame) -> Label | None:
        """The frame's lanes; None in the test split, whose labels were not published."""
        folder = self.root / "labels" / self.split
        if self.split == "test" and not folder.is_dir():
            return None
        return Label(read_lanes((folder / frame.name).with_suffix(".json")))

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)


def read_lanes(path: Path) -> list[Polyline]:
    """The (N, 2) lanes of a label file: the second and first to the left, the first and second to the right.

    Raises:
        InputError: it is missing or damaged; the message names it.
    """
    text = read_text(path, "label")
    try:
        lanes = _markers(items(parse_json(text)["lanes"]))
        high = {name: markers for name, markers in lanes.items() if _is_lane(markers)}
        left, right = (sorted(name for name in high if name[0] == side)[:2] for side in "lr")
        lines = [_line(high[name]) for name in [*left[::-1], *right]]
        return [line for line in lines if len(line) > 1]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is no LLAMAS label ({error!r}): copy or extract it again") from error


def _markers(lanes: list[Any]) -> dict[str, list[Any]]:
    """The markers of each lane by its name."""
    found = {lane["lane_id"]: items(lane["markers"]) for lane in lanes}
    if len(found) < len(lanes):
        raise ValueError("two lanes have the same lane_id")
    return found


def _is_lane(markers: list[Any]) -> bool:
    starts = [_pixel(marker["pixel_start"])[1] for marker in markers]
    return len(markers) > 1 and max(starts) - min(starts) >= LEAST_HEIGHT


def _line(markers: list[Marker]) -> Polyline:
    """(N, 2) one point a row that a marker covers, from the top down; the markers' points are whole pixels."""
    columns: defaultdict[int, list[int]] = defaultdict(list)
    ends = [(_pixel(marker["pixel_start"]), _pixel(marker["pixel_end"])) for marker in markers]
    for (x, y), (end_x, end_y) in [*_prolonged(markers), *ends]:
        columns[y].append(x)  # once more than its row below: published labels count starts twice
        if y - end_y >= LEAST_MARKER:
            for row in range(y - end_y + 1):
                columns[y - row].append(round(x + (end_x - x) / (y - end_y) * row))
    line = np.array([(np.mean(columns[y]), y) for y in sorted(columns) if 0 <= y < HEIGHT], np.float64)
    return line[line[:, 0] >= 0]


def _prolonged(markers: list[Marker]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and end of a marker from the border of the image to the nearest one, unless that is behind the camera."""
    slanted = [each for each in markers if all(_both(each, axis)[0] != _both(each, axis)[1] for axis in "xy")]
    nearest = min(slanted, key=_distance, default=None)
    if nearest is None or _distance(nearest) < 0:
        return []
    (x, end_x), (y, end_y) = _both(nearest, "x"), _both(nearest, "y")
    slope = (end_x - x) / (end_y - y)
    bottom = x + (HEIGHT - 1 - y) * slope
    if 0 <= bottom <= WIDTH:
        return [((round(bottom), HEIGHT - 1), (x, y))]
    side = 0 if bottom < 0 else WIDTH
    return [((side, round(y + (side - x) / slope)), (x, y))]


def _distance(marker: Marker) -> float:
    """Metres in front of the camera."""
    return number(marker["world_start"]["z"])


def _both(marker: Marker, axis: str) -> tuple[int, int]:
    return _whole(marker["pixel_start"][axis]), _whole(marker["pixel_end"][axis])


def _pixel(point: dict[str, float]) -> tuple[int, int]:
    return _whole(point["x"]), _whole(point["y"])


def _whole(value: Any) -> int:
    found = int(number(value))
    if abs(found) > MOST:
        raise ValueError(f"{value!r} is far out of the image")
    return found
