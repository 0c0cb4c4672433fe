"""KITTI's files of objects: labels, and detections, which have a confidence at the end.

A line is ``type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]``: sides in
pixels of the left colour image, sizes in metres, x y z the middle of the bottom in the rectified camera's frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfcore.datasets.kitti.calibration import Calibration
from sfcore.datasets.numbers import number
from sfcore.errors import InputError
from sfcore.files import read_text, text_lines

CLASSES = {
    "Car": "vehicle",
    "Van": "vehicle",
    "Truck": "vehicle",
    "Tram": "vehicle",
    "Pedestrian": "pedestrian",
    "Person_sitting": "pedestrian",
    "Cyclist": "cyclist",
}
NAMES = ("vehicle", "pedestrian", "cyclist")
_KINDS = {"vehicle": "Car", "pedestrian": "Pedestrian", "cyclist": "Cyclist"}  # that detections are written as
IGNORED = ("DontCare", "Misc")  # regions without boxes, and objects of no class
NUMBERS = 14  # after the type, without the score
LARGEST = 1e5  # of any number: pixels and metres stay far below
_SIZE = slice(7, 10)  # of these: height, width, length


@dataclass(frozen=True)
class Labelled:
    """The objects of one file that have a class.

    Attributes:
        kinds: the type of each, as the file calls it.
        boxes: (N, 7) in the scanner's frame: see :class:`sfcore.tasks.boxes3d.Boxes3d`.
        labels: (N,) place of each class in ``NAMES``.
        truncated: (N,) share of each that leaves the image.
        occluded: (N,) 0 fully visible, 1 partly, 2 largely occluded, 3 unknown.
        heights: (N,) of each in the image, px.
        scores: (N,) confidences; 1 in files of labels.
    """

    kinds: tuple[str, ...]
    boxes: np.ndarray
    labels: np.ndarray
    truncated: np.ndarray
    occluded: np.ndarray
    heights: np.ndarray
    scores: np.ndarray


def read_objects(path: Path, calibration: Calibration) -> Labelled:
    """What :func:`parse_objects` says of a file. Raises InputError: it cannot be read, or is damaged."""
    return parse_objects(read_text(path, "label file"), calibration, path)


def parse_objects(text: str, calibration: Calibration, path: Path) -> Labelled:
    """The objects of a label file or of a file of detections, without those that have no size.

    Args:
        path: of the file, for messages.

    Raises:
        InputError: a line is not of this format.
    """
    rows = [(words[0], _numbers(words, f"line {place} of {path}")) for place, words in _lines(text)]
    rows = [(kind, row) for kind, row in rows if (row[_SIZE] > 0).all()]
    kinds, table = tuple(kind for kind, _ in rows), np.array([row for _, row in rows]).reshape(-1, NUMBERS + 1)
    return Labelled(
        kinds=kinds,
        boxes=calibration.boxes_of(table[:, 10:13], table[:, _SIZE], table[:, 13]),
        labels=np.array([NAMES.index(CLASSES[kind]) for kind in kinds], int),
        truncated=table[:, 0],
        occluded=table[:, 1],
        heights=table[:, 6] - table[:, 4],
        scores=table[:, 14],
    )


def without_size(path: Path) -> list[str]:
    """What is wrong with the lines of a file that :func:`parse_objects` leaves out, a line each; none of a file that
    cannot be read."""
    problems = []
    try:
        for place, words in _lines(read_text(path)):
            row = _numbers(words, "")
            if not (row[_SIZE] > 0).all():
                size = " × ".join(f"{side:g}" for side in row[_SIZE])
                problems.append(f"line {place} of {path}: a {words[0]} of {size} m has no size; mend or remove it")
    except InputError:
        pass  # said where the frame's label is asked for
    return problems


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """The words of each line that is about an object of a class, with the line's number."""
    each = enumerate((line.split() for line in text_lines(text)), 1)
    return [(place, words) for place, words in each if words and words[0] not in IGNORED]


def _numbers(words: list[str], where: str) -> np.ndarray:
    """(15,) the numbers of a line, the last its score."""
    if words[0] not in CLASSES:
        known = ", ".join((*CLASSES, *IGNORED))
        raise InputError(f"{where} has an object {words[0][:40]!r}: it must be one of {known}")
    try:
        found = [number(word) for word in words[1:]]
    except ValueError as error:
        raise InputError(f"{where} is damaged: {error}; copy the file again") from error
    if len(found) not in (NUMBERS, NUMBERS + 1):
        raise InputError(
            f"{where} has {len(found)} numbers after its type: it must have {NUMBERS}, or one more, the score"
        )
    if max(map(abs, found)) > LARGEST:
        raise InputError(
            f"{where} is damaged: {max(found, key=abs):g} is neither pixels nor metres; copy the file again"
        )
    return np.array([*found, 1.0][: NUMBERS + 1])


def written(objects: np.ndarray, calibration: Calibration, size: tuple[int, int]) -> str:
    """The text of a file of detections: the way back from :func:`parse_objects`.

    Args:
        objects: (N, 9) boxes in the scanner's frame, the place of each class in ``NAMES``, its confidence.
        size: (height, width) of the left colour image.
    """
    boxes = objects[:, :7]
    sides = calibration.image_boxes(boxes, size)
    lines = []
    for each, side, place, extent, turned in zip(objects, sides, *calibration.objects_of(boxes), strict=True):
        alpha = math.remainder(turned - math.atan2(place[0], place[2]), 2 * math.pi)
        numbers = [-1, -1, alpha, *side, *extent, *place, turned, each[8]]
        lines.append(" ".join([_KINDS[NAMES[int(each[7])]], *(f"{value:.6g}" for value in numbers)]) + "\n")
    return "".join(lines)
