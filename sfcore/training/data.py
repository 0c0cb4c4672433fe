"""Rendered scenes as training data: rendered once, kept as bytes at the size of the network's input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Detector, Preprocessing
from sfcore.training.augment import Augmentation
from sfcore.training.objects import scaled

UNSEEN = 800_000  # training uses seeds below, scoring those from here on


@dataclass(frozen=True)
class SceneSet:
    """Scenes cut and resized for one detector.

    Attributes:
        images: (N, h, w, 3) uint8 RGB, what the preprocessing leaves of the scene at the input size.
        objects: of each scene, those of the detector's task in pixels of ``images``.
        frame, preprocessing: of the detector.
    """

    images: np.ndarray
    objects: list[list[np.ndarray]]
    frame: tuple[int, int]
    preprocessing: Preprocessing

    @property
    def _to_frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and corner of the map from pixels of ``images`` to pixels of the frame, pixel centre to centre."""
        top = round(self.preprocessing.top * self.frame[0])
        size = np.array(self.preprocessing.size[::-1])
        scale = np.array([self.frame[1], self.frame[0] - top]) / size
        return scale, np.array([0.0, top]) + 0.5 * scale - 0.5

    def batch(
        self, index: np.ndarray, augment: Augmentation, random: np.random.Generator
    ) -> tuple[Tensor, list[list[np.ndarray]]]:
        """Augmented inputs (B, 3, h, w) and their objects in pixels of the frame."""
        scale, corner = self._to_frame
        views = [augment(self.images[i], self.objects[i], random) for i in index]
        pixels = np.stack([image for image, _ in views])
        inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        if self.preprocessing.order == "bgr":
            inputs = inputs.flip(1)
        mean, std = (torch.tensor(v).view(3, 1, 1) * 255 for v in (self.preprocessing.mean, self.preprocessing.std))
        return (inputs - mean) / std, [scaled(objects, scale, corner) for _, objects in views]


def render_scenes(
    detector: Detector, count: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> SceneSet:
    """Render ``count`` scenes with seeds from ``seed`` on, at the size of the detector's frame.

    Args:
        progress: called with scenes done and ``count``.
    """
    preprocessing, frame = detector.preprocessing, detector.frame
    assert isinstance(preprocessing, Preprocessing)  # what is trained here reads images
    height, width = preprocessing.size
    found = SceneSet(np.empty((count, height, width, 3), np.uint8), [], frame, preprocessing)
    scale, corner = found._to_frame
    for i in range(count):
        scene = render(seed + i, size=frame)
        cut = np.ascontiguousarray(scene.image[round(preprocessing.top * frame[0]) :])
        found.images[i] = cv2.resize(cut, (width, height))
        found.objects.append(scaled(scene.objects[detector.task_name], 1 / scale, -corner / scale))
        if progress:
            progress(i + 1, count)
    return found
