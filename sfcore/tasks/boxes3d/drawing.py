"""Where boxes in space lie on the bird's-eye view: x to the right, y up."""

from __future__ import annotations

import math

import numpy as np
import torch

from sfcore.drawing import Image, Line
from sfcore.tasks.boxes3d.geometry import ground_corners

Extent = tuple[float, float, float, float]
TICK = 0.35  # lengths of the box that its heading is drawn out in front of it


def on_canvas(points: np.ndarray, extent: Extent, image: Image) -> np.ndarray:
    """Places on the ground (..., 2) x, y in metres to pixels (..., 2) of a picture of the extent."""
    x_min, y_min, x_max, y_max = extent
    height, width = image.shape[:2]
    x, y = points[..., 0], points[..., 1]
    return np.stack([(x - x_min) * width / (x_max - x_min), (y_max - y) * height / (y_max - y_min)], -1)


def outline(box: np.ndarray) -> Line:
    """(7, 2) x, y in metres of the line around a box (7,): from a tick ahead of it to its front, and once around."""
    x, y, length, yaw = box[0], box[1], box[3], box[6]
    ahead = np.array([math.cos(yaw), math.sin(yaw)])
    front = np.array([x, y]) + ahead * length / 2
    corners = ground_corners(torch.from_numpy(np.asarray(box, np.float64))).numpy()
    return np.array([front + TICK * length * ahead, front, *corners, front])
