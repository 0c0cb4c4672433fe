"""Boxes in space on the image of a camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sfcore.colours import FULL, rgb
from sfcore.datasets.kitti.calibration import NEAREST, Calibration
from sfcore.drawing import Image, Line, draw_lines, stroke
from sfcore.tasks.boxes3d import corners

THICKNESS = 1.5  # pixels at the drawing width
_EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 0)),  # at the bottom
    *((4, 5), (5, 6), (6, 7), (7, 4)),  # at the top
    *((0, 4), (1, 5), (2, 6), (3, 7)),
    *((0, 7), (3, 4)),  # a cross on the front
)


def draw_on_camera(
    image: Image,
    boxes: np.ndarray,
    calibration: Calibration,
    colours: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> Image:
    """Boxes on a copy of the camera's picture, their fronts crossed; what is behind the camera is left out.

    Args:
        boxes: (N, 7) in the scanner's frame, such as the first seven of what ``Boxes3d.objects`` gives.
        colours: of each box, ``#RRGGBB``; that of full precision when None.
        size: (height, width) that the calibration is for; the picture's own when None.
    """
    picture, (height, width) = image.copy(), size or image.shape[:2]
    scale = np.array([image.shape[1] / width, image.shape[0] / height])
    for place, edges in enumerate(projected(boxes, calibration)):
        colour = colours[place] if colours else FULL
        draw_lines(picture, [edge * scale for edge in edges], rgb(colour), THICKNESS * stroke(image))
    return picture


def projected(boxes: np.ndarray, calibration: Calibration) -> list[list[Line]]:
    """The edges of each of (N, 7) boxes as (2, 2) lines in pixels, cut where they come nearer than 0.1 m."""
    found = corners(torch.from_numpy(np.asarray(boxes, np.float64).reshape(-1, 7))).numpy()
    lines = []
    for box in calibration.to_camera(found):
        kept = [_cut(box[start], box[end]) for start, end in _EDGES]
        lines.append([calibration.on_image(edge) for edge in kept if edge is not None])
    return lines


def _cut(start: np.ndarray, end: np.ndarray) -> np.ndarray | None:
    """The part of an edge that lies ahead of the camera, (2, 3); None where nothing does."""
    if max(start[2], end[2]) <= NEAREST:
        return None
    edge = np.stack([start, end])
    for point, other in ((0, end), (1, start)):
        if edge[point, 2] < NEAREST:
            edge[point] += (other - edge[point]) * (NEAREST - edge[point, 2]) / (other[2] - edge[point, 2])
    return edge
