"""From the scanner's frame to the left colour camera and its image, and back, as a KITTI calibration file says.

The scanner's frame has x ahead, y left, z up; the rectified camera's x right, y down, z ahead. With the file's matrices
a point is R0_rect · (Tr_velo_to_cam · (p, 1)) in the camera's frame, and P2 · (that, 1) on its image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sfcore.datasets.numbers import number
from sfcore.errors import InputError
from sfcore.files import read_text, text_lines
from sfcore.tasks.boxes3d import corners

NEAREST = 0.1  # metres ahead of the camera; what is nearer, or behind it, is moved there before it is projected
_SHAPES = {"P2": (3, 4), "R0_rect": (3, 3), "Tr_velo_to_cam": (3, 4)}
_ALSO = {"R_rect": "R0_rect", "Tr_velo_cam": "Tr_velo_to_cam"}  # as KITTI's tracking benchmark writes them


@dataclass(frozen=True)
class Calibration:
    """One frame's calibration.

    Attributes:
        projection: (3, 4) from the camera's frame to its image, homogeneous.
        turn, move: (3, 3) and (3,) from the scanner's frame to the camera's: turn · p + move.
    """

    projection: np.ndarray
    turn: np.ndarray
    move: np.ndarray

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the scanner's frame in the camera's."""
        return points @ self.turn.T + self.move

    def to_sensor(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the camera's frame in the scanner's."""
        return (points - self.move) @ np.linalg.inv(self.turn).T

    def on_image(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the camera's frame as pixels (..., 2): x, y."""
        ahead = points.copy()
        ahead[..., 2] = ahead[..., 2].clip(NEAREST)
        seen = ahead @ self.projection[:, :3].T + self.projection[:, 3]
        return seen[..., :2] / seen[..., 2:]

    def boxes_of(self, location: np.ndarray, size: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """(N, 7) boxes in the scanner's frame: see :class:`sfcore.tasks.boxes3d.Boxes3d`.

        Args:
            location: (N, 3) the middle of each bottom, in the camera's frame.
            size: (N, 3) height, width, length in metres.
            turned: (N,) KITTI's ``rotation_y``: 0 for a heading to the camera's right, π/2 for one towards it.
        """
        middle = location - np.array([0.0, 0.5, 0.0]) * size[:, :1]  # y is down
        ahead = np.stack([np.cos(turned), np.zeros(len(turned)), -np.sin(turned)], -1)
        heading = ahead @ np.linalg.inv(self.turn).T
        yaw = np.arctan2(heading[:, 1], heading[:, 0])
        return np.concatenate([self.to_sensor(middle), size[:, ::-1], yaw[:, None]], 1)

    def objects_of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Location, size and rotation_y of boxes (N, 7): the way back from :meth:`boxes_of`."""
        ahead = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6]), np.zeros(len(boxes))], -1) @ self.turn.T
        size = boxes[:, 5:2:-1]
        location = self.to_camera(boxes[:, :3]) + np.array([0.0, 0.5, 0.0]) * size[:, :1]
        return location, size, -np.arctan2(ahead[:, 2], ahead[:, 0])

    def image_boxes(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(N, 4) left, top, right, bottom in pixels of what boxes (N, 7) cover of an image of ``size`` (height, width).

        The upright box around the projected corners, clipped; without any extent where the middle of a box is behind
        the camera or nothing of it is in view.
        """
        found = corners(torch.from_numpy(np.asarray(boxes, np.float64))).numpy()
        pixels = self.on_image(self.to_camera(found))
        limits = np.array([size[1] - 1, size[0] - 1], np.float64)
        low, high = pixels.min(1).clip(0, limits), pixels.max(1).clip(0, limits)
        behind = self.to_camera(boxes[:, :3])[:, 2:] < NEAREST
        return np.concatenate([low, np.where(behind, low, high)], 1)


def read_calibration(path: Path) -> Calibration:
    """The calibration of a file of KITTI's object or tracking benchmark.

    Raises:
        InputError: it cannot be read, or lacks a matrix.
    """
    found: dict[str, np.ndarray] = {}
    for line in text_lines(read_text(path, "calibration")):
        name, *values = line.replace(":", " ").split() or [""]
        name = _ALSO.get(name, name)
        if name in _SHAPES:
            found[name] = _matrix(path, name, values)
    missing = [name for name in _SHAPES if name not in found]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}: it must be the calib file of KITTI's object benchmark, lines such as "
            "'Tr_velo_to_cam: ' and 12 numbers"
        )
    rectified, scanner = found["R0_rect"], found["Tr_velo_to_cam"]
    return Calibration(found["P2"], rectified @ scanner[:, :3], rectified @ scanner[:, 3])


def _matrix(path: Path, name: str, values: list[str]) -> np.ndarray:
    shape = _SHAPES[name]
    try:
        numbers = [number(value) for value in values]
    except ValueError as error:
        raise InputError(f"{name} of {path} is damaged: {error}; copy the file again") from error
    if len(numbers) != math.prod(shape):
        raise InputError(f"{name} of {path} has {len(numbers)} numbers, not {math.prod(shape)}: copy the file again")
    matrix = np.array(numbers).reshape(shape)
    if abs(np.linalg.det(matrix[:, :3])) < 1e-6:
        raise InputError(f"{name} of {path} cannot be inverted: copy the file again")
    return matrix
