"""The lanes of one held-back frame as tuning moves them, to be watched while a run goes on.

preview.jpg is the frame. The first line of preview.jsonl has the full-precision lanes, ``full``, their ``rows`` (first,
last, how many) and the ``size`` of the image that their pixels refer to; each later one ``iteration`` and ``lanes``.
Lanes are lists of [x, y] from the bottom up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from sfcore.datasets.images import read_image
from sfcore.detectors.base import Image
from sfcore.errors import InputError
from sfcore.files import write_atomic
from sfcore.present.pictures import fitted
from sfcore.runs.folder import RunFolder
from sfcore.tasks.lanes import Lanes

LONGEST = 1280  # pixels of the picture's longer side
QUALITY = 88  # of the JPEG


@dataclass(frozen=True)
class Preview:
    """What was written down of a run.

    Attributes:
        image: the frame.
        full: lanes of the full-precision detector, batch of one.
        iterations: when lanes were written down, rising.
        lanes: those of the quantized model at each of them.
    """

    image: Image
    full: Lanes
    iterations: tuple[int, ...]
    lanes: tuple[Lanes, ...]


def begin(folder: RunFolder, image: Image, full: Lanes) -> None:
    """Write down the frame and its full-precision lanes, batch of one."""
    small = fitted(image, LONGEST) if max(image.shape[:2]) > LONGEST else image
    encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    write_atomic(folder.path / "preview.jpg", encoded.tobytes())
    rows = [float(full.rows[0]), float(full.rows[-1]), len(full.rows)]
    folder.preview.append({"size": list(full.size), "rows": rows, "full": points(full)})


def add(folder: RunFolder, iteration: int, lanes: Lanes) -> None:
    """Write down the quantized model's lanes, batch of one."""
    folder.preview.append({"iteration": iteration, "lanes": points(lanes)})


def points(lanes: Lanes, image: int = 0) -> list[list[list[float]]]:
    """The lanes of one image of a batch, for JSON."""
    return [[[round(float(x), 2), round(float(y), 2)] for x, y in line] for line in lanes.polylines(image)]


def read(folder: RunFolder) -> Preview | None:
    """What there is so far; None for a run that was not watched.

    Raises:
        InputError: it is damaged.
    """
    lines, _ = folder.preview.read()
    encoded = folder.path / "preview.jpg"
    if len(lines) < 2 or not encoded.is_file():
        return None
    try:
        image = read_image(encoded)
        first, *later = lines
        full = _lanes(first["full"], first)
        lanes = tuple(_lanes(line["lanes"], first) for line in later)
        return Preview(image, full, tuple(int(line["iteration"]) for line in later), lanes)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the preview in {folder.path} is damaged ({error}): delete preview.jsonl there") from error


def _lanes(lines: list[list[list[float]]], about: dict[str, Any]) -> Lanes:
    """A batch of one from the points of its lanes and what the first line says of rows and size."""
    start, end, count = about["rows"]
    height, width = about["size"]
    return Lanes.from_polylines(
        [[np.asarray(line) for line in lines]], torch.linspace(start, end, count), (height, width)
    )
