"""A dataset's labels over the road: thin and dashed, so that they are never taken for a detector's lanes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from sfcore.colours import LABEL, rgb
from sfcore.detectors.base import Image
from sfcore.present.figures.road import stroke
from sfcore.tasks.lanes import Polyline

DASH, GAP = 16.0, 18.0  # pixels at 1280 px, the drawing width
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def draw_labels(image: Image, lanes: Sequence[Polyline], size: tuple[int, int]) -> Image:
    """Labelled lanes on a copy of the picture.

    Args:
        lanes: (N, 2) x, y in pixels of an image of ``size`` (height, width).
    """
    picture, unit = image.copy(), stroke(image)
    scale = np.array([image.shape[1] / size[1], image.shape[0] / size[0]])
    pieces = [piece for lane in lanes for piece in dashes(np.asarray(lane) * scale, DASH * unit, GAP * unit)]
    fixed = [np.round(piece * 2**_SHIFT).astype(np.int32).reshape(-1, 1, 2) for piece in pieces]
    for tone, thickness in (((12, 18, 28), 4 * unit), (rgb(LABEL), 2 * unit)):
        cv2.polylines(picture, fixed, False, tone, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)
    return picture


def dashes(line: Polyline, dash: float, gap: float) -> Iterator[Polyline]:
    """Pieces of a polyline ``dash`` long and ``gap`` apart along it; the last is as long as the line allows."""
    if len(line) < 2:
        return
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    for start in np.arange(0.0, along[-1], dash + gap):
        end = min(start + dash, along[-1])
        at = np.r_[start, along[(along > start) & (along < end)], end]
        yield np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], 1)
