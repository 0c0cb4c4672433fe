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
LENGTH = 4.2  # metres of the mark of the sensor's own vehicle


def canvas_size(extent: tuple[float, float, float, float]) -> tuple[int, int]:
    """(height, width) of a picture of an extent (x_min, y_min, x_max, y_max): the longer side as pictures are drawn."""
    x, y = extent[2] - extent[0], extent[3] - extent[1]
    scale = WIDTH / max(x, y)
    return max(1, round(y * scale)), max(1, round(x * scale))


def birds_eye(points: np.ndarray, extent: tuple[float, float, float, float], heights: tuple[float, float]) -> Image:
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


def _splat(
    picture: Image,
    points: np.ndarray,
    extent: tuple[float, float, float, float],
    scale: float,
    heights: tuple[float, float],
) -> Image:
    """Every point as a soft dot: its light shared by the four pixels around it, then a little blurred."""
    height, width = picture.shape[:2]
    share = np.clip((points[:, 2] - heights[0]) / (heights[1] - heights[0]), 0, 1)
    colour = colour_map(0.12 + 0.88 * share, "viridis").astype(np.float32)
    u, v = (points[:, 0] - extent[0]) * scale - 0.5, (extent[3] - points[:, 1]) * scale - 0.5
    light = np.zeros((height * width, 4), np.float32)
    for right in (0, 1):
        for down in (0, 1):
            column, row = np.floor(u).astype(int) + right, np.floor(v).astype(int) + down
            weight = (1 - np.abs(u - column)) * (1 - np.abs(v - row))
            seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            place = (row * width + column)[seen]
            for channel in range(4):
                value = (weight * (colour[:, channel] if channel < 3 else 1))[seen]
                light[:, channel] += np.bincount(place, value, height * width)
    light = cv2.GaussianBlur(light.reshape(height, width, 4), (0, 0), 0.9)
    amount = light[..., 3:]
    alpha = 1 - np.exp(-7 * amount)
    return (picture * (1 - alpha) + light[..., :3] / np.maximum(amount, 1e-6) * alpha).round().astype(np.uint8)


def _draw_rings(picture: Image, extent: tuple[float, float, float, float], scale: float) -> None:
    farthest = max(math.hypot(x, y) for x in extent[::2] for y in extent[1::2])
    step = STEP if farthest <= 100 else 2 * STEP
    centre = _fixed(-extent[0] * scale, extent[3] * scale)
    for radius in np.arange(step, farthest, step):
        cv2.circle(picture, centre, round(radius * scale * 2**SHIFT), RING, 1, cv2.LINE_AA, SHIFT)
        label = (round((radius - extent[0]) * scale) + 4, round(extent[3] * scale) - 5)
        cv2.putText(picture, f"{radius:g} m", label, cv2.FONT_HERSHEY_SIMPLEX, 0.42, EGO, 1, cv2.LINE_AA)


def _draw_ego(picture: Image, extent: tuple[float, float, float, float], scale: float) -> None:
    """An arrowhead that points ahead."""
    shape = np.array([[0.5, 0], [-0.5, 0.34], [-0.28, 0], [-0.5, -0.34]]) * LENGTH
    pixels = np.stack([(shape[:, 0] - extent[0]) * scale, (extent[3] - shape[:, 1]) * scale], 1)
    outline = np.round(pixels * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(picture, [outline], EGO, cv2.LINE_AA, SHIFT)


def _fixed(x: float, y: float) -> tuple[int, int]:
    """A place in OpenCV's drawing coordinates."""
    return round(x * 2**SHIFT), round(y * 2**SHIFT)
