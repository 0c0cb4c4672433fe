"""KITTI's files of objects: labels, and detections, which have a confidence at the end.

A line is ``type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]``: sides in
pixels of the left colour image, sizes in metres, x y z the middle of the bottom in the rectified camera's frame.
"""

from __future__ import annotations

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
IGNORED = ("DontCare", "Misc")  # regions without boxes, and objects of no class
NUMBERS = 14  # after the type, without the score


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
        problems: what is wrong with lines that are left out, each naming its line.
    """

    kinds: tuple[str, ...]
    boxes: np.ndarray
    labels: np.ndarray
    truncated: np.ndarray
    occluded: np.ndarray
    heights: np.ndarray
    scores: np.ndarray
    problems: tuple[str, ...] = ()


def read_objects(path: Path, calibration: Calibration) -> Labelled:
    """What :func:`parse_objects` says of a file. Raises InputError: it cannot be read, or is damaged."""
    return parse_objects(read_text(path, "label file"), calibration, path)


def parse_objects(text: str, calibration: Calibration, path: Path) -> Labelled:
    """The objects of a label file or of a file of detections.

    Args:
        path: of the file, for messages.

    Raises:
        InputError: a line is not of this format.
    """
    kinds, rows, problems = [], [], []
    for place, line in enumerate(text_lines(text), 1):
        words = line.split()
        if not words or words[0] in IGNORED:
            continue
        row = _numbers(words, f"line {place} of {path}")
        if (row[7:10] <= 0).any():
            size = " × ".join(f"{side:g}" for side in row[7:10])
            problems.append(f"line {place} of {path}: a {words[0]} of {size} m has no size; mend or remove it")
            continue
        kinds.append(words[0])
        rows.append(row)
    table = np.array(rows).reshape(-1, NUMBERS + 1)
    return Labelled(
        kinds=tuple(kinds),
        boxes=calibration.boxes_of(table[:, 10:13], table[:, 7:10], table[:, 13]),
        labels=np.array([NAMES.index(CLASSES[kind]) for kind in kinds], int),
        truncated=table[:, 0],
        occluded=table[:, 1],
        heights=table[:, 6] - table[:, 4],
        scores=table[:, 14],
        problems=tuple(problems),
    )


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
    return np.array([*found, 1.0][: NUMBERS + 1])
