"""Labelled objects under changes of their image: lanes as (N, 2) points, boxes as (6,) sides, label and score.

Points of lanes are in pixels whose centres are whole numbers, sides of boxes in pixels that reach from i to i + 1.
"""

from __future__ import annotations

import numpy as np

HALF = 0.5  # from a pixel's side to its centre


def moved(objects: list[np.ndarray], motion: np.ndarray) -> list[np.ndarray]:
    """The objects after an affine map (2, 3) of pixel centres; boxes stay upright, around their moved corners."""
    return [_moved_box(each, motion) if each.ndim == 1 else _turned(each, motion) for each in objects]


def scaled(objects: list[np.ndarray], scale: np.ndarray, corner: np.ndarray) -> list[np.ndarray]:
    """The objects after x, y of pixel centres were multiplied with ``scale`` and ``corner`` was added."""
    sides = np.concatenate([corner, corner]) + HALF
    factor = np.concatenate([scale, scale])
    return [
        np.concatenate([(each[:4] - HALF) * factor + sides, each[4:]]) if each.ndim == 1 else each * scale + corner
        for each in objects
    ]


def _turned(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    return points @ motion[:, :2].T + motion[:, 2]


def _moved_box(box: np.ndarray, motion: np.ndarray) -> np.ndarray:
    corners = _turned(box[[[0, 1], [2, 1], [2, 3], [0, 3]]] - HALF, motion) + HALF
    return np.concatenate([corners.min(0), corners.max(0), box[4:]])
