"""What stands behind the road: sky, clouds, hills, a line of trees, a skyline."""

from __future__ import annotations

import cv2
import numpy as np

from sfcore.datasets.scenes.draw import blend, crop_tile, noise_tile, profile, sample_tile
from sfcore.datasets.scenes.look import Look


def draw_sky(image: np.ndarray, horizon: float, look: Look, rng: np.random.Generator) -> None:
    """A gradient from the horizon up, with clouds that flatten towards it."""
    height, width = image.shape[:2]
    bottom = min(int(horizon) + 2, height)
    if bottom <= 0:
        return
    # All of it is smooth, so it is worked out on every third pixel and enlarged.
    rise = np.maximum(horizon - np.arange(0, bottom, 3, dtype=np.float32), 0)[:, None] / height
    t = np.clip(rise / 0.55, 0, 1)[..., None] ** np.float32(0.7)
    low, top, cloud = (np.asarray(colour, np.float32) for colour in (look.sky[1], look.sky[0], look.cloud))
    sky = np.repeat(low + (top - low) * t, -(-width // 3), 1)
    depth = 1 / (0.06 + rise)
    x, y = rng.integers(0, 1024, 2)
    columns = x + np.linspace(-320, 320, sky.shape[1], dtype=np.float32) * depth * 0.1
    density = sample_tile(noise_tile(1.6), columns, np.broadcast_to(y + 60 * depth, columns.shape))
    alpha = np.clip((density + 2.4 * look.clouds - 1.4) * 0.6, 0, 0.85) * np.clip(t[..., 0] * 5, 0.2, 1)
    sky += (cloud - sky) * alpha[..., None]
    image[:bottom] = cv2.resize(sky.astype(np.uint8), (width, bottom))


def draw_ridges(image: np.ndarray, horizon: float, look: Look, rng: np.random.Generator) -> None:
    """Far hills and a nearer line of trees, each a random profile above the horizon."""
    height, width = image.shape[:2]
    haze = np.asarray(look.sky[1])
    if rng.random() < 0.6:
        hills = np.maximum(profile(rng, width, 3, 5) * 0.02 + rng.uniform(0.01, 0.06), 0) * height
        _ridge(image, horizon, hills, 0.55 * haze + 0.45 * np.asarray(look.hills), 0.03, rng)
    trees = profile(rng, width, rng.uniform(4, 14), 6) * 0.012 + rng.uniform(0.005, 0.06)
    sides = np.abs(np.linspace(-1, 1, width) - rng.uniform(-0.4, 0.4)) * rng.uniform(0, 0.12)
    far = rng.uniform(0.03, 0.3)
    colour = far * haze + (1 - far) * np.asarray(look.foliage)
    _ridge(image, horizon, np.maximum(trees + sides, 0.003) * height, colour, 0.28 * (1 - far), rng)


def _ridge(
    image: np.ndarray, horizon: float, rise: np.ndarray, colour: np.ndarray, texture: float, rng: np.random.Generator
) -> None:
    """Fill from the horizon up to ``rise`` (W,) pixels, mottled by ``texture`` of its brightness."""
    base = min(int(np.ceil(horizon)) + 2, image.shape[0])
    first = max(int(horizon - rise.max()) - 1, 0)
    if base <= first:
        return
    rows = np.arange(first, base, dtype=np.float32)[:, None]
    colour, rise = colour.astype(np.float32), rise.astype(np.float32)
    leaves = crop_tile(noise_tile(1.0), (base - first, image.shape[1]), rng)
    edge = (np.float32(horizon) - rise)[None] + leaves * np.float32(texture * 8)
    light = (
        1
        + np.float32(texture) * leaves
        + np.float32(texture) * np.clip((horizon - rows) / max(float(rise.max()), 1) - 0.4, -0.4, 0.6)
    )
    alpha = np.clip(rows - edge + 0.5, 0, 1)
    blend(image[first:base], np.clip(light, 0.2, 2)[..., None] * colour, alpha)
