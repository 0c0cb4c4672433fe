"""Which vehicles of a scene are seen, and the upright boxes around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np

from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.vehicles import Vehicle, outline

#: What boxes are labelled as. Vans are cars: from afar nothing but their height tells them apart.
NAMES = ("car", "truck")
SMALLEST = 8 / 640  # a box with a side shorter than this share of the image's width is too small to label
LOWEST = 25 / 1242  # of the image's width: KITTI's least height, 13 px of 640; lower boxes need not be found
LEAST_SEEN = 0.3  # of a vehicle's silhouette within the image; vehicles hidden more are left out


def to_be_found(objects: Sequence[np.ndarray], width: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Labelled boxes, of which sides come first, that are high enough to have to be found, and the others, which are
    neither right nor wrong to find; ``width`` is that of the image."""
    least = LOWEST * width
    low = [each for each in objects if each[3] - each[1] < least]
    return [each for each in objects if each[3] - each[1] >= least], low


class Sightings:
    """The vehicles of one picture, told one by one as they are drawn, the far ones first.

    Args:
        view: of the picture.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._nearest = np.zeros(view.size, np.int32)  # of each pixel, which vehicle it shows; 0 for none
        self._found: list[tuple[np.ndarray, int]] = []  # box with label, and pixels of the silhouette

    def add(self, car: Vehicle) -> None:
        """A vehicle that hides whatever was told before it."""
        corners, spans = outline(self._view, car)
        mask = np.zeros(self._view.size, np.uint8)
        pixels = np.rint(np.clip(corners, -20000, 20000)).astype(np.int32)
        for begin, end in spans:
            cv2.fillPoly(mask, [pixels[begin:end]], 1)
        box = _bounds(mask, corners)
        if box is None:
            return
        self._found.append((np.array([*box, NAMES.index("truck" if car.kind == "truck" else "car")]), int(mask.sum())))
        self._nearest[mask > 0] = len(self._found)

    @contextmanager
    def behind(self, image: np.ndarray) -> Iterator[None]:
        """All vehicles told so far stand behind what is drawn on ``image`` within the context."""
        before = image.copy()
        yield
        self._nearest[(image != before).any(2)] = 0

    def boxes(self) -> np.ndarray:
        """(K, 5) left, top, right, bottom in pixels, where pixel i reaches from i to i + 1, and place in NAMES.

        A box holds the part of the whole silhouette that lies in the image, hidden parts too. Vehicles of which less
        than LEAST_SEEN of that shows are left out, as are boxes smaller than SMALLEST.
        """
        seen = np.bincount(self._nearest.ravel(), minlength=len(self._found) + 1)[1:]
        smallest = SMALLEST * self._view.size[1]
        kept = [
            box
            for (box, area), shown in zip(self._found, seen, strict=True)
            if shown >= LEAST_SEEN * area and min(box[2] - box[0], box[3] - box[1]) >= smallest
        ]
        return np.array(kept).reshape(-1, 5)


def _bounds(mask: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    """(4,) the box around a mask, cut to the bounds of its corners, which are exact where the image ends nothing."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return None
    low = np.maximum([columns[0], rows[0]], corners.min(0) + 0.5)
    high = np.minimum([columns[-1] + 1, rows[-1] + 1], corners.max(0) + 0.5)
    return np.concatenate([low, high])
