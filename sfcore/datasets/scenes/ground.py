"""The ground: pavement and verges, with the texture that traffic and weather leave on them."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from sfcore.datasets.scenes.draw import Colour, crop_tile, fill, noise_tile, sample_tile
from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.look import Look
from sfcore.datasets.scenes.plan import Road

REACH = 40.0  # metres to either side within which the cross-section of the ground is tabulated
STEP = 0.05  # metres between its samples


class Texture:
    """Noise fixed to the ground, and the cross-section of the road, looked up for every pixel of ground."""

    def __init__(self, view: View, rng: np.random.Generator) -> None:
        self.view = view
        s = (np.arange(view.size[1])[None] - view.column(0.0)[:, None]) / view.scale[:, None]
        self.s = s.astype(np.float32)
        self._z = np.minimum(view.z, 600).astype(np.float32)[:, None]
        self._index = ((np.clip(self.s, -REACH, REACH) + REACH) * (1 / STEP)).astype(np.int32)
        self._rng = rng

    def at(self, roughness: float, across: float, along: float) -> np.ndarray:
        """(R, W) float32 noise whose texels are ``across`` × ``along`` metres, faded where rows blur it away."""
        y = np.broadcast_to(self._z / along, self.s.shape)
        dx, dy = self._rng.integers(0, 1024, 2)
        fade = np.minimum(1, 6 * along / self.view.footprint) * np.minimum(1, 6 * across * self.view.scale)
        return sample_tile(noise_tile(roughness), self.s / across + dx, y + dy) * fade[:, None].astype(np.float32)

    def grain(self) -> np.ndarray:
        """(R, W) noise as fine as the pixels, strongest near the camera."""
        fade = np.clip(8 / self.view.z, 0.15, 1)[:, None].astype(np.float32)
        return crop_tile(noise_tile(0.4), self.s.shape, self._rng) * fade

    def across(self, section: np.ndarray) -> np.ndarray:
        """(R, W) values of a cross-section given at the places :func:`sections` returns."""
        return section.astype(np.float32)[self._index]


def sections() -> np.ndarray:
    """(N,) the values of s at which cross-sections are tabulated."""
    return np.arange(-REACH, REACH + 2 * STEP, STEP)


def lay(image: np.ndarray, view: View, left: float | np.ndarray, right: float | np.ndarray, colour: Colour) -> None:
    """Fill the strip of ground between two values of s, over all ground rows."""
    rows = np.arange(view.top, view.size[0], dtype=float)
    rows[-1] += 1  # covers the last row wholly
    sides = np.stack([view.column(left), rows], 1), np.stack([view.column(right), rows], 1)
    fill(image, np.concatenate([sides[0], sides[1][::-1]]), colour)


def slab(image: np.ndarray, view: View, s: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
    """Fill a rectangle of ground, from s[0] to s[1] and z[0] to z[1]; it bends with the road."""
    along = np.geomspace(max(z[0], 1.0), max(z[1], 1.1), 12)
    fill(image, np.concatenate([view.project(s[0], 0.0, along), view.project(s[1], 0.0, along[::-1])]), colour)


def draw_ground(image: np.ndarray, view: View, road: Road, style: Look, rng: np.random.Generator) -> None:
    """Verges, shoulders, pavement with its repairs, and in a city the pavements for people."""
    image[view.top :] = np.asarray(style.verge, np.uint8)
    ragged = 0.0 if road.city else np.interp(view.z, np.arange(0, 200, 2.0), rng.normal(0, 0.10, 100))
    rim = rng.uniform(0.3, 1.8)
    if road.city:
        lay(image, view, road.left - 3.5, road.right + 3.5, np.asarray(style.verge) * 0.9 + 22)
        lay(image, view, road.left - 0.16, road.right + 0.16, np.asarray(style.verge) * 0.7 + 66)
    else:
        gravel = 0.5 * np.asarray(style.verge) + 0.5 * np.asarray(style.shoulder)
        lay(image, view, road.left - rim + ragged, road.right + rim - ragged, gravel)
    if road.beyond:
        lay(image, view, road.left - road.beyond - 11.0, road.left - road.beyond, style.shoulder)
    lay(image, view, road.left + ragged, road.right - ragged, style.shoulder)
    lay(image, view, road.markings[0].s - 0.3, road.markings[-1].s + 0.3, style.asphalt)
    for _ in range(rng.poisson(0.8)):
        near, side = rng.uniform(3, 50), rng.uniform(road.left, road.right - 1)
        tone = np.asarray(style.asphalt) * rng.uniform(0.78, 1.1)
        slab(image, view, (side, side + rng.uniform(0.7, 3.5)), (near, near + rng.uniform(2, 15)), tone)


def texture_ground(
    image: np.ndarray, texture: Texture, road: Road, style: Look, crumbs: np.ndarray, rng: np.random.Generator
) -> None:
    """Multiply the ground by its texture (``crumbs`` is its finest noise), and fade it into the haze."""
    view = texture.view
    s = sections()
    paved = (s > road.left) & (s < road.right)
    rough = np.where(paved, 1.0, 1.2 if road.city else rng.uniform(2.5, 5))
    fine, coarse = rng.uniform(0.02, 0.06), rng.uniform(0.01, 0.045)
    gain = fine * texture.grain() + coarse * texture.at(1.2, 0.10, rng.uniform(0.8, 4))
    gain += 0.8 * fine * crumbs
    gain = gain * texture.across(rough) + texture.across(_traces(s, road, rng) * paved + 1.0 * ~paved)
    if rng.random() < 0.18:
        gain -= _joints(view, rng)[:, None] * texture.across(0.3 * paved)
    air = np.exp(-view.z / style.haze).astype(np.float32)[:, None]
    part = image[view.top :]
    lit = cv2.multiply(part, cv2.merge([gain * air] * 3), dtype=cv2.CV_8U)
    haze = np.rint((1 - air) * np.asarray(style.sky[1])).astype(np.uint8)
    cv2.add(lit, np.repeat(haze[:, None], view.size[1], 1), dst=part)


def _traces(s: np.ndarray, road: Road, rng: np.random.Generator) -> np.ndarray:
    """Brightness across the road: worn wheel tracks, the oil between them, lanes paved at different times, seams."""
    gain = np.ones_like(s)
    track, oil, seam = rng.normal(0.0, 0.06), -abs(rng.normal(0, 0.05)), rng.random() < 0.35
    for left, right in pairwise(road.markings):
        middle = (left.s + right.s) / 2
        for side in (-0.8, 0.8):
            gain += track * np.exp(-0.5 * ((s - middle - side) / 0.28) ** 2)
        gain += oil * np.exp(-0.5 * ((s - middle) / 0.3) ** 2)
        gain += rng.normal(0, 0.025) * ((s > left.s) & (s < right.s))
        if seam:
            gain -= rng.uniform(0.1, 0.35) * (np.abs(s - right.s - 0.22) < 0.03)
    return cv2.GaussianBlur(gain[None], (0, 0), 0.8)[0]


def _joints(view: View, rng: np.random.Generator) -> np.ndarray:
    """(R,) how much of each row the dark joints between concrete slabs take."""
    period, width = rng.uniform(4, 7), 0.06
    z = view.z + rng.uniform(0, period)
    return np.clip(width / view.footprint, 0, 1) * ((z % period) < np.maximum(view.footprint, width))


def draw_seams(image: np.ndarray, view: View, road: Road, rng: np.random.Generator) -> None:
    """Cracks and the tar that seals them: dark crooked lines along or across the road."""
    for _ in range(rng.poisson(0.5)):
        z = np.geomspace(max(view.z[-1] * 1.02, 2), rng.uniform(15, 70), 40)
        s = rng.uniform(road.left, road.right) + np.cumsum(rng.normal(0, 0.03, len(z)))
        line = view.project(s, 0.0, z)
        half = np.stack([0.5 * rng.uniform(0.012, 0.035) * view.camera.focal / z, np.zeros_like(z)], 1)
        tone = image[min(view.top + 40, view.size[0] - 1), view.size[1] // 2].astype(float) * rng.uniform(0.6, 0.9)
        fill(image, np.concatenate([line - half, (line + half)[::-1]]), tone)
