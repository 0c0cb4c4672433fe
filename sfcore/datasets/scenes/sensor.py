"""What lens and sensor do to the picture: blur, vignette, exposure, white balance, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np

from sfcore.datasets.scenes.draw import crop_tile, fill, noise_tile


def draw_bonnet(image: np.ndarray, rng: np.random.Generator) -> None:
    """The camera's own bonnet at the bottom edge, with the sky's shine on it."""
    height, width = image.shape[:2]
    rise, paint = height * rng.uniform(0.02, 0.07), np.full(3, rng.uniform(15, 120)) + rng.normal(0, 6, 3)
    x = np.linspace(-0.1, 1.1, 40)
    arch = 1 - np.abs(x - rng.uniform(0.4, 0.6)) ** rng.uniform(2, 4) * 2.5
    for sink, shade in ((0.0, 1.25), (0.12, 0.85), (0.45, 0.6)):
        top = np.stack([x * width, height - rise * (arch - sink)], 1)
        outline = np.concatenate([top, [[1.1 * width, height + 2], [-0.1 * width, height + 2]]])
        fill(image, outline, np.clip(paint * shade, 0, 255))


def expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as a cheap camera would record it, as a new uint8 image."""
    height, width = image.shape[:2]
    blur = rng.uniform(0.35, 0.9) * width / 640
    image = cv2.GaussianBlur(image, (0, 0), blur)
    balance = np.exp(rng.normal(0, 0.022, 3)) * np.exp(rng.normal(0, 0.10))
    balance = balance * np.clip(rng.normal(112, 14) / max(image.mean(), 1), 0.6, 1.5) ** 0.6
    contrast, gamma = rng.uniform(0.85, 1.2), np.exp(rng.normal(0, 0.12))
    tone = np.arange(256)[:, None] / 255 * balance
    tone = np.clip((np.clip(tone, 0, 1) ** gamma - 0.45) * contrast + 0.45 + rng.normal(0, 0.02), 0, 1)
    image = cv2.LUT(image, np.round(tone * 255).astype(np.uint8)[None])
    noise = crop_tile(noise_tile(0.15), (height, width), rng) * np.float32(rng.gamma(2.0, 0.8))
    image = cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    quality = int(rng.integers(55, 96))
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
