"""Pictures of point clouds from above: x to the right, y up, coloured by height."""

from __future__ import annotations

import math

import cv2
import numpy as np

from sfcore.drawing import SHIFT, WIDTH, Image, colour_map

GROUND = (13, 17, 23)  # where nothing is
RING = (44, 52, 64)
EGO = (200, 206, 214)
STEP = 10  # metres between rings; twice as far where that would crowd
Extent = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max in metres
LENGTH = 4.2  # metres of the mark of the sensor's own vehicle


def canvas_size(extent: Extent) -> tuple[int, int]:
    """(height, width) of a picture of an extent (x_min, y_min, x_max, y_max): the longer side as pictures are drawn."""
    x, y = extent[2] - extent[0], extent[3] - extent[1]
    scale = WIDTH / max(x, y)
    return max(1, round(y * scale)), max(1, round(x * scale))


def birds_eye(points: np.ndarray, extent: Extent, heights: tuple[float, float]) -> Image:
    """The points of an extent on a dark ground with rings of distance and a mark where the sensor is.

    Args:
        points: (N, 4) x, y, z, reflectance.
        extent: x_min, y_min, x_max, y_max.
        heights: z_min, z_max, drawn in the first and the last colour.
    """
    picture = np.full((*canvas_size(extent), 3), GROUND, np.uint8)
    scale = picture.shape[1] / (extent[2] - extent[0])
    _draw_rings(picture, extent, scale)
    picture = _splat(picture, points, extent, scale, heights)
    _draw_ego(picture, extent, scale)
    return picture


def _splat(picture: Image, points: np.ndarray, extent: Extent, scale: float, heights: tuple[float, float]) -> Image:
    """Every point as a soft dot: its light shared by the four pixels around it, then a little blurred; a pixel has the
    colour of the mean height of what lights it."""
    height, width = picture.shape[:2]
    place, light, level = _lit(points, extent, scale, (height, width))
    share = np.clip((level - heights[0]) / (heights[1] - heights[0]), 0, 1)
    sums = [np.bincount(place, weight, height * width).astype(np.float32) for weight in (light, light * share)]
    amount, total = cv2.GaussianBlur(np.stack(sums, 1).reshape(height, width, 2), (0, 0), 0.9).reshape(-1, 2).T
    lit = np.flatnonzero(amount > 1e-4)
    colour = colour_map(0.12 + 0.88 * total[lit] / amount[lit])
    alpha = 1 - np.exp(-7 * amount[lit, None])
    pixels = picture.reshape(-1, 3).copy()
    pixels[lit] = (pixels[lit] * (1 - alpha) + colour * alpha).round()
    return pixels.reshape(picture.shape)


def _lit(
    points: np.ndarray, extent: Extent, scale: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels of a picture, row by row, are lit how much, and by points of which heights."""
    u, v = (points[:, 0] - extent[0]) * scale - 0.5, (extent[3] - points[:, 1]) * scale - 0.5
    left, top = np.floor(u), np.floor(v)
    column = np.concatenate([left, left + 1, left, left + 1]).astype(np.int64)
    row = np.concatenate([top, top, top + 1, top + 1]).astype(np.int64)
    light = (1 - np.abs(np.tile(u, 4) - column)) * (1 - np.abs(np.tile(v, 4) - row))
    seen = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    return (row * size[1] + column)[seen], light[seen], np.tile(points[:, 2], 4)[seen]


def _draw_rings(picture: Image, extent: Extent, scale: float) -> None:
    farthest = max(math.hypot(x, y) for x in extent[::2] for y in extent[1::2])
    step = STEP if farthest <= 100 else 2 * STEP
    centre = _fixed(-extent[0] * scale, extent[3] * scale)
    for radius in np.arange(step, farthest, step):
        cv2.circle(picture, centre, round(radius * scale * 2**SHIFT), RING, 1, cv2.LINE_AA, SHIFT)
        label = (round((radius - extent[0]) * scale) + 4, round(extent[3] * scale) - 5)
        cv2.putText(picture, f"{radius:g} m", label, cv2.FONT_HERSHEY_SIMPLEX, 0.42, EGO, 1, cv2.LINE_AA)


def _draw_ego(picture: Image, extent: Extent, scale: float) -> None:
    """An arrowhead that points ahead."""
    shape = np.array([[0.5, 0], [-0.5, 0.34], [-0.28, 0], [-0.5, -0.34]]) * LENGTH
    pixels = np.stack([(shape[:, 0] - extent[0]) * scale, (extent[3] - shape[:, 1]) * scale], 1)
    outline = np.round(pixels * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(picture, [outline], EGO, cv2.LINE_AA, SHIFT)


def _fixed(x: float, y: float) -> tuple[int, int]:
    """A place in OpenCV's drawing coordinates."""
    return round(x * 2**SHIFT), round(y * 2**SHIFT)
