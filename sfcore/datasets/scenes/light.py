"""Light and its absence: cast shadows, headlights at night, dazzle, wet roads."""

from __future__ import annotations

import cv2
import numpy as np

from sfcore.datasets.scenes.draw import crop_tile, fill, glow, noise_tile
from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.ground import Texture, sections
from sfcore.datasets.scenes.look import Look
from sfcore.datasets.scenes.plan import Plan
from sfcore.datasets.scenes.vehicles import Vehicle, lamp_points, shadow_outline


def draw_shadows(
    image: np.ndarray, scene: Plan, texture: Texture, cars: list[Vehicle], style: Look, rng: np.random.Generator
) -> None:
    """Darken the ground under vehicles and where trees, bridges and poles take the sun."""
    view = scene.view
    shade = np.zeros(view.size, np.uint8)
    if scene.scenario == "shadow" or (style.sun > 0.5 and rng.random() < 0.2):
        _cast(shade, scene, texture, style, rng)
    below = np.zeros(view.size, np.uint8)
    for car in cars:
        fill(below, shadow_outline(view, car, 0.0), (205,))
        if style.sun > 0.5:
            fill(shade, shadow_outline(view, car, style.sun_side), (255,))
    top = max(view.top - 4, 0)
    soft = cv2.GaussianBlur(np.maximum(shade[top:], below[top:]), (0, 0), 1.6 * view.size[1] / 640)
    depth = 0.85 if style.sun > 0.5 else 0.75
    table = 1 - np.arange(256)[:, None] / 255 * depth * np.array([0.80, 0.77, 0.70])
    gain = cv2.LUT(cv2.merge([soft] * 3), np.round(table * 255).astype(np.uint8)[None])
    image[top:] = cv2.multiply(image[top:], gain, scale=1 / 255)


def _cast(shade: np.ndarray, scene: Plan, texture: Texture, style: Look, rng: np.random.Generator) -> None:
    """Shadows of trees at the roadside; of a bridge or poles now and then."""
    view, road = scene.view, scene.road
    kind = str(rng.choice(["trees", "bridge", "poles"], p=[0.7, 0.15, 0.15]))
    if kind == "bridge":
        z, slant = rng.uniform(8, 35), rng.normal(0, 0.4)
        for start, depth in ((z, rng.uniform(5, 14)), (z + rng.uniform(20, 60), 8)):
            s = np.array([-60.0, 60, 60, -60])
            along = np.maximum(start + np.array([0, 0, depth, depth]) + slant * s, 1.5)
            fill(shade, view.project(s, 0.0, along), (235,))
    elif kind == "poles":
        for z in np.arange(rng.uniform(5, 20), 90, rng.uniform(9, 35)):
            s, width = np.array([-60.0, 60, 60, -60]), rng.uniform(0.15, 0.6)
            along = np.maximum(
                z + np.array([0, 0, width, width]) + rng.normal(0, 0.03) + 0.25 * s * style.sun_side, 1.5
            )
            fill(shade, view.project(s, 0.0, along), (225,))
    else:
        s, side = sections(), np.sign(style.sun_side)
        edge = road.left if side > 0 else road.right
        reach = rng.uniform(5, 25)
        cover = 1.5 - 2.2 * np.clip((s - edge) * side / reach, -0.2, 3)
        trees = np.interp(view.z, np.linspace(0, 120, 24), rng.normal(0, 1.0, 24)).astype(np.float32)
        leaves = texture.at(1.25, 0.05, 0.09)
        dark = (leaves + texture.across(cover) + trees[:, None] + rng.uniform(-0.6, 0.5)) * rng.uniform(1.2, 4)
        part = shade[view.top :]
        part[:] = np.maximum(part, (np.clip(dark, 0, 1) * 245).astype(np.uint8))


def wet_road(image: np.ndarray, view: View, style: Look) -> None:
    """Mirror what stands above the horizon in the road, blurred downwards."""
    height = view.size[0] - view.top
    above = image[max(view.top - height, 0) : view.top][::-1]
    if len(above) < 8:
        return
    mirror = cv2.resize(cv2.blur(above, (9, 41)), (view.size[1], height))
    image[view.top :] = cv2.addWeighted(image[view.top :], 1 - 0.45 * style.wet, mirror, 0.45 * style.wet, 0)


def draw_dazzle(image: np.ndarray, view: View, rng: np.random.Generator) -> None:
    """A low sun ahead: its disc and halo, a veil over everything, a sheen on the road below it."""
    height, width = view.size
    centre = np.array([width * rng.uniform(0.2, 0.8), max(view.horizon, 40) * rng.uniform(0.15, 0.85)])
    tint = np.array([1.0, rng.uniform(0.88, 0.98), rng.uniform(0.7, 0.9)])
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[:height, :width])
    distance = np.hypot(rows - centre[1], columns - centre[0]) / width
    veil = (
        70 * np.exp(-distance * 3.0)
        + 100 * np.exp(-((distance / 0.08) ** 2))
        + 220 * np.exp(-((distance / 0.025) ** 2))
    )
    sheen = np.exp(-(((columns - centre[0]) / (0.16 * width)) ** 2)) * (rows > view.horizon)
    veil = veil + sheen * rng.uniform(20, 90) * np.exp(-(rows - view.horizon) / (0.3 * height))
    veil = cv2.merge([(veil * t).astype(np.float32) for t in tint])
    cv2.add(image, veil, dst=image, dtype=cv2.CV_8U)


def fall_of_night(
    image: np.ndarray, scene: Plan, texture: Texture, cars: list[Vehicle], style: Look, rng: np.random.Generator
) -> None:
    """Leave only what headlights and street lamps light, then add the lamps themselves."""
    view = scene.view
    ambient = rng.uniform(0.10, 0.35) if scene.road.city else rng.uniform(0.05, 0.18)
    z = view.z.astype(np.float32)[:, None]
    x = texture.s + view.course.lateral(z).astype(np.float32)
    reach, spread = np.float32(rng.uniform(16, 34)), np.float32(rng.uniform(0.24, 0.42))
    beam = np.float32(rng.uniform(0.7, 1.5)) * np.exp(-((x / (2.2 + spread * z)) ** 2)) / (1 + (z / reach) ** 2)
    lit = np.empty(view.size, np.float32)
    lit[view.top :] = ambient + beam
    rise = np.exp(-np.arange(view.top, 0, -1) / (0.08 * view.size[0]))[:, None]
    lit[: view.top] = ambient + lit[view.top] * rise * 0.6
    lamps = rng.random() < (0.85 if scene.road.city else 0.35)
    warm = np.array([1.0, 0.86, 0.62]) if lamps and rng.random() < 0.7 else np.array([0.96, 0.98, 1.0])
    posts = np.arange(rng.uniform(10, 25), 220, rng.uniform(22, 40)) if lamps else np.zeros(0)
    for post in posts[:4]:
        lit[view.top :] += 0.25 * np.exp(-(((z - np.float32(post)) / 8) ** 2))
    gain = cv2.merge([lit * np.float32(t) for t in warm])
    cv2.multiply(image, gain, dst=image, dtype=cv2.CV_8U)
    _street_lamps(image, scene, posts, warm)
    for car in cars:
        _car_lamps(image, view, car, style.dazzle, rng)


def _street_lamps(image: np.ndarray, scene: Plan, posts: np.ndarray, warm: np.ndarray) -> None:
    road, view = scene.road, scene.view
    for post in posts[::-1]:
        for s in (road.left - 1.5, road.right + 1.5):
            point = view.project(s, 8.0, post)
            size = np.clip(0.25 * view.camera.focal / post, 0.8, 9)
            glow(image, point, size * 3, 90 * warm)
            glow(image, point, size * 0.8, 255 * warm)


def _car_lamps(image: np.ndarray, view: View, car: Vehicle, dazzle: bool, rng: np.random.Generator) -> None:
    strength = 2.2 if dazzle and car.oncoming else 1.0
    for point in lamp_points(view, car):
        size = np.clip(0.14 * view.camera.focal / car.z, 0.7, 7)
        if car.oncoming:
            glow(image, point, size * 5 * strength, np.array([120, 118, 105]))
            glow(image, point, size * 1.6 * strength, np.array([255, 252, 235]))
        else:
            bright = 1.0 if car.braking else 0.6
            glow(image, point, size * 3, bright * np.array([110, 12, 10]))
            glow(image, point, size, bright * np.array([255, 60, 40]))


def reflections(image: np.ndarray, rng: np.random.Generator) -> None:
    """The faint image of the dashboard in the windscreen."""
    height, width = image.shape[:2]
    first = int(height * rng.uniform(0.45, 0.7))
    noise = crop_tile(noise_tile(1.6), (height - first, width), rng)
    rise = np.linspace(0, 1, height - first, dtype=np.float32)[:, None]
    veil = np.clip(noise, 0, 2) * rise * np.float32(rng.uniform(5, 18))
    image[first:] = cv2.add(image[first:], cv2.merge([veil] * 3), dtype=cv2.CV_8U)
