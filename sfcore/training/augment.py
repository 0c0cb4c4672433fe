"""Random views of a training image: moved, scaled, turned, mirrored, in another light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sfcore.detectors.base import Image
from sfcore.training.objects import moved


@dataclass(frozen=True)
class Augmentation:
    """How far a view may lie from its image. Shares are of the image's size, degrees of turning either way."""

    mirror: float = 0.5
    scale: tuple[float, float] = (0.95, 1.1)
    shift: tuple[float, float] = (0.03, 0.04)  # sideways, up and down
    turn: float = 1.0
    gain: float = 0.1
    brightness: float = 0.1
    contrast: tuple[float, float] = (0.75, 1.25)
    gamma: tuple[float, float] = (0.8, 1.25)
    grey: float = 0.1
    blur: float = 0.15
    noise: float = 0.15

    def __call__(
        self, image: Image, objects: list[np.ndarray], random: np.random.Generator
    ) -> tuple[Image, list[np.ndarray]]:
        """A new view of ``image`` and its ``objects`` (in its pixels)."""
        motion = self._motion(image.shape[:2], random)
        fill = int(random.integers(0, 160))
        view = cv2.warpAffine(image, motion, image.shape[1::-1], borderValue=(fill, fill, fill))
        return self._light(view, random), moved(objects, motion)

    def _motion(self, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
        """(2, 3) the affine map from the image to its view."""
        height, width = size
        centre = (width / 2, height / 2)
        motion = cv2.getRotationMatrix2D(centre, random.uniform(-self.turn, self.turn), random.uniform(*self.scale))
        motion[:, 2] += random.uniform(-1, 1, 2) * self.shift * np.array([width, height])
        if random.random() < self.mirror:
            motion[0] = -motion[0]
            motion[0, 2] += width - 1
        return motion

    def _light(self, image: Image, random: np.random.Generator) -> Image:
        levels = np.linspace(0, 1, 256)[:, None] ** random.uniform(*self.gamma)
        levels = (levels - 0.5) * random.uniform(*self.contrast) + 0.5 + random.uniform(-1, 1) * self.brightness
        levels = levels * random.uniform(1 - self.gain, 1 + self.gain, 3)
        table = (levels.clip(0, 1) * 255).astype(np.uint8)
        image = cv2.LUT(image, table.reshape(1, 256, 3))
        if random.random() < self.grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if random.random() < self.blur:
            image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.2))
        if random.random() < self.noise:
            most = int(random.integers(3, 18))
            grain = random.integers(-most, most + 1, image.shape, np.int16)
            image = cv2.add(image, grain, dtype=cv2.CV_8U)
        return image
