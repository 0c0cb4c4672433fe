"""Small drawing tools that the parts of a scene share. Images are uint8 RGB and are drawn into."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

TILE = 1024  # side of a noise tile in texels

Colour = Sequence[float] | np.ndarray  # RGB, 0 to 255


@lru_cache(maxsize=8)
def noise_tile(roughness: float) -> np.ndarray:
    """(TILE, TILE) float32 noise that repeats without a seam, mean 0, deviation 1.

    Its amplitude falls as 1/frequency^roughness: 0 is white noise, 1.5 looks like clouds.
    """
    rng = np.random.default_rng([TILE, round(100 * roughness)])
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None])
    spectrum[0, 0] = 0
    spectrum /= np.maximum(frequency, 1 / TILE) ** roughness
    noise = np.fft.irfft2(spectrum, s=(TILE, TILE))
    noise = (noise / noise.std()).astype(np.float32)
    noise.setflags(write=False)
    return noise


def sample_tile(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of a repeating tile at texel coordinates x, y (same shape, below 32,767)."""
    return cv2.remap(tile, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def crop_tile(tile: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random window of a repeating tile, of the given (height, width)."""
    y, x = rng.integers(0, TILE, 2)
    if y + shape[0] <= TILE and x + shape[1] <= TILE:
        return tile[y : y + shape[0], x : x + shape[1]]
    return tile.take(range(y, y + shape[0]), 0, mode="wrap").take(range(x, x + shape[1]), 1, mode="wrap")


def profile(rng: np.random.Generator, length: int, knots: float, octaves: int = 4) -> np.ndarray:
    """(length,) smooth random curve of deviation about 1, with ``knots`` bumps along its length at the coarsest."""
    position = np.linspace(0, 1, length)
    curve = np.zeros(length)
    for octave in range(octaves):
        count = max(int(knots * 2**octave), 2)
        curve += np.interp(position, np.linspace(0, 1, count), rng.standard_normal(count)) / 2**octave
    return curve


def fill(image: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fill the polygon (N, 2) of sub-pixel x, y with one colour, antialiased."""
    corners = np.rint(np.minimum(np.maximum(points, -20000), 20000) * 16).astype(np.int32)
    cv2.fillPoly(image, [corners], tuple(map(float, colour)), cv2.LINE_AA, 4)


def blend(image: np.ndarray, colour: Colour | np.ndarray, alpha: np.ndarray) -> None:
    """Mix a colour (or an image) into the image where alpha (H, W) in [0, 1] says so."""
    mixed = np.asarray(colour, np.float32) - image
    mixed *= alpha[..., None].astype(np.float32)
    mixed += image
    image[:] = np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)


def slice_within(size: tuple[int, ...], low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of an image of ``size`` that the box from low to high (x, y) touches; may be empty."""
    height, width = size[:2]
    x0, y0 = (int(v) for v in np.floor(low))
    x1, y1 = (int(v) + 1 for v in np.ceil(high))
    return slice(min(max(y0, 0), height), min(max(y1, 0), height)), slice(
        min(max(x0, 0), width), min(max(x1, 0), width)
    )


def glow(image: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    """Add light that fades as a Gaussian around a point; ``radius`` is its deviation in pixels."""
    centre = np.asarray(centre, float)
    rows, columns = slice_within(image.shape, centre - 3 * radius, centre + 3 * radius)
    part = image[rows, columns]
    if not part.size:
        return
    dy = (np.arange(rows.start, rows.stop) - centre[1])[:, None] / radius
    dx = (np.arange(columns.start, columns.stop) - centre[0])[None] / radius
    fade = np.exp(-0.5 * (dx**2 + dy**2)).astype(np.float32)[..., None]
    part[:] = np.minimum(part + fade * np.asarray(colour, np.float32), 255).astype(np.uint8)
