"""What stands beside the road: trees, barriers, poles, signs, bridges, houses."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from sfcore.datasets.scenes.draw import Colour, blend, fill, noise_tile, slice_within
from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.look import Look
from sfcore.datasets.scenes.plan import Road

TREES = 10  # different trees; each is scaled, mirrored and tinted


@lru_cache(maxsize=TREES)
def tree(kind: int) -> tuple[np.ndarray, ...]:
    """Pictures of a tree, (192, 160, 2) float32 and halves of it: its brightness around 1, and its opacity."""
    rng = np.random.default_rng([192, kind])
    height, width = 192, 160
    light: np.ndarray = np.ones((height, width), np.float32)
    cover: np.ndarray = np.zeros((height, width), np.float32)
    narrow = kind % 4 == 3
    cv2.line(cover, (80, 191), (80 + int(rng.normal(0, 4)), 90), 1.0, 5 if narrow else 8)
    cv2.ellipse(cover, (80, 88), (12, 50) if narrow else (44, 48), 0, 0, 360, 1.0, -1)
    light[cover > 0] = 0.5
    for _ in range(150):
        t = rng.beta(1.6, 1.4)
        half = (24 if narrow else 66) * np.sqrt(max(1 - (2 * t - 0.85) ** 2 / 1.4, 0.02)) * (1 - t if narrow else 1)
        x, y = 80 + half * rng.uniform(-1, 1), 150 - 138 * t
        tone = 0.35 + 0.75 * t + 0.004 * (x - 80) + rng.normal(0, 0.16)
        radius = int(rng.uniform(4, 17) * (0.6 if narrow else 1))
        cv2.circle(light, (int(x), int(y)), radius, float(tone), -1)
        cv2.circle(cover, (int(x), int(y)), radius, 1.0, -1)
    leaves = noise_tile(0.5)[:height, kind * 60 : kind * 60 + width]
    cover = cv2.GaussianBlur(cover, (0, 0), 2.0)
    cover = cover + 0.22 * leaves * np.clip(3 * cover, 0, 1)
    light = np.clip(light * (1 + 0.32 * leaves), 0.1, 2.2)
    pictures: list[np.ndarray] = [np.dstack([light, np.clip((cover - 0.4) * 4, 0, 1)]).astype(np.float32)]
    for _ in range(4):
        pictures.append(cv2.pyrDown(pictures[-1]))
    return tuple(pictures)


def draw_tree(image: np.ndarray, view: View, place: tuple[float, float, float], kind: int, colour: Colour) -> None:
    """Stand a tree of the given height at ``place`` = (s, height, z)."""
    s, tall, z = place
    foot, top = view.project(s, np.array([-0.2, tall]), z)
    height = foot[1] - top[1]
    if not 3 <= height < 4 * view.size[0]:
        return
    box = np.array([foot[0] - height * 80 / 192, top[1]])
    rows, columns = slice_within(view.size, box, box + np.array([height * 160 / 192, height]))
    part = image[rows, columns]
    if not part.size:
        return
    pictures = tree(kind)
    picture = pictures[int(np.clip(np.floor(np.log2(192 / height)), 0, len(pictures) - 1))]
    zoom = picture.shape[0] / height
    matrix = np.array([[zoom, 0, (columns.start - box[0]) * zoom], [0, zoom, (rows.start - box[1]) * zoom]])
    picture = cv2.warpAffine(picture, matrix, part.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    blend(part, picture[..., :1] * np.asarray(colour, np.float32), picture[..., 1])


def draw_trees(image: np.ndarray, view: View, road: Road, style: Look, rng: np.random.Generator) -> None:
    """A loose row of trees and bushes at either side, the far ones first."""
    for z in np.sort(rng.uniform(14, 170, int(rng.integers(4, 26))))[::-1]:
        side = rng.choice([-1, 1])
        edge = road.right if side > 0 else road.left - (road.beyond + 12 if road.beyond else 0)
        s = edge + side * (3.5 + rng.exponential(9))
        tall = rng.uniform(1.2, 3) if rng.random() < 0.3 else rng.uniform(4, 13)
        colour = style.afar(
            np.asarray(style.foliage) * rng.uniform(0.8, 1.4) * [1 + rng.normal(0, 0.08), 1, 1], float(z)
        )
        draw_tree(image, view, (float(s), float(tall), float(z)), int(rng.integers(0, TREES)), colour)


def wall(image: np.ndarray, view: View, s: float, y: tuple[float, float], colour: Colour, style: Look) -> None:
    """A band along the road between two heights, nearest to farthest, fading into the haze."""
    z = np.geomspace(1.2, 500, 49)
    low, high = view.project(s, np.array([[y[0]], [y[1]]]), z)
    for first in range(0, 48, 12):
        part = slice(first, first + 13)
        fill(image, np.concatenate([low[part], high[part][::-1]]), style.afar(colour, float(z[first + 6])))


def draw_barrier(image: np.ndarray, view: View, s: float, style: Look, rng: np.random.Generator) -> None:
    """A guard rail on posts, a concrete barrier, or a wall against noise."""
    kind = str(rng.choice(["rail", "concrete", "noise", "painted"], p=[0.5, 0.3, 0.12, 0.08]))
    level = rng.uniform(0.75, 1.15)
    if kind == "rail":
        for z in np.arange(3, 60, 4.0)[::-1]:
            post = view.project(s + np.array([-0.06, 0.06, 0.06, -0.06]), np.array([0, 0, 0.72, 0.72]), z)
            fill(image, post, style.afar(np.array([110, 108, 104]) * level, float(z)))
        for y, tone in (((0.42, 0.78), 148), ((0.54, 0.60), 104), ((0.68, 0.78), 178)):
            wall(image, view, s, y, np.full(3, tone * level), style)
        return
    base = np.array([188, 178, 158]) if rng.random() < 0.5 else np.array([150, 150, 148])
    tall = rng.uniform(2.2, 4.5) if kind == "noise" else rng.uniform(0.8, 1.1)
    wall(image, view, s, (0, tall), base * 0.78 * level, style)
    wall(image, view, s, (0.88 * tall, tall), base * level, style)
    wall(image, view, s, (0, 0.12), base * 0.5 * level, style)
    if kind == "painted":
        for z in np.arange(2, 120, 4.0):
            along = np.array([z, z, z + 2, z + 2])
            fill(image, view.project(s, np.array([0.1, 0.8, 0.8, 0.1]) * tall, along), style.afar((34, 34, 36), z))


def draw_poles(image: np.ndarray, view: View, road: Road, style: Look, rng: np.random.Generator) -> None:
    """Lamp posts at even distances, with an arm over the road."""
    gap, tall = rng.uniform(22, 45), rng.uniform(7, 11)
    sides = [-1, 1] if rng.random() < 0.4 else [rng.choice([-1, 1])]
    colour = np.full(3, rng.uniform(50, 150))
    for z in np.arange(rng.uniform(8, 30), 180, gap)[::-1]:
        for side in sides:
            s = (road.right + 1.4) if side > 0 else (road.left - 1.4)
            tone = style.afar(colour, float(z))
            fill(image, view.project(s + np.array([-0.1, 0.1, 0.06, -0.06]), np.array([0, 0, tall, tall]), z), tone)
            arm = np.array([0.0, -2.2, -2.2, 0.0]) * side
            fill(image, view.project(s + arm, tall + np.array([-0.1, 0.35, 0.5, 0.05]), z), tone)


def draw_signs(image: np.ndarray, view: View, road: Road, style: Look, rng: np.random.Generator) -> None:
    """Small signs on posts, and at times a gantry or a bridge across the road."""
    for z in rng.uniform(15, 90, rng.poisson(1.0)):
        s, y = (road.right + rng.uniform(1, 3)) if rng.random() < 0.75 else road.left - 1.5, rng.uniform(1.8, 2.6)
        fill(image, view.project(s + np.array([-0.05, 0.05, 0.05, -0.05]), np.array([0, 0, y, y]), z), (104, 104, 104))
        corners = int(rng.choice([3, 4, 12]))
        tilt = np.pi / 4 * rng.integers(0, 2) * (corners == 4)
        turn = np.linspace(0, 2 * np.pi, corners + 1)[:-1] + np.pi / 2 + tilt
        face = ((220, 190, 40), (200, 36, 36), (40, 80, 170), (232, 232, 230), (24, 104, 66))[rng.integers(0, 5)]
        for size, colour in ((0.48, (225, 225, 222)), (0.40, face)):
            shape = view.project(s + size * np.cos(turn), y + size * (1 + np.sin(turn)), z)
            fill(image, shape, style.afar(colour, float(z)))
    if rng.random() < 0.15:
        _across(image, view, road, style, rng)


def _across(image: np.ndarray, view: View, road: Road, style: Look, rng: np.random.Generator) -> None:
    """A gantry with green or blue signs, or the deck of a bridge, over the whole road."""
    z, left, right = float(rng.uniform(35, 140)), road.left - 2.0, road.right + 2.0
    bridge = rng.random() < 0.45
    low, high, colour = (5.6, 7.4, (132, 130, 126)) if bridge else (6.0, 6.5, (120, 122, 124))
    reach = 80.0 if bridge else 0.0
    for s in (left, right):
        half = 0.6 if bridge else 0.15
        fill(
            image,
            view.project(s + np.array([-half, half, half, -half]), np.array([0, 0, low, low]), z),
            style.afar(np.asarray(colour) * 0.8, z),
        )
    x = np.array([left - reach, right + reach, right + reach, left - reach])
    fill(image, view.project(x, np.array([low, low, high, high]), z), style.afar(np.asarray(colour) * 0.75, z))
    if bridge:
        fill(image, view.project(x, np.array([low, low, low + 0.4, low + 0.4]), z), style.afar((62, 62, 62), z))
        return
    board = ((20, 100, 62), (34, 76, 160))[rng.integers(0, 2)]
    for s in road.lanes[road.oncoming :]:
        if rng.random() < 0.6:
            for grow, tone in ((0.08, (225, 228, 225)), (0.0, board)):
                x = s + np.array([-1.5, 1.5, 1.5, -1.5]) * (1 + grow)
                fill(
                    image,
                    view.project(x, np.array([5.9 - grow, 5.9 - grow, 8 + grow, 8 + grow]), z),
                    style.afar(tone, z),
                )
            fill(
                image,
                view.project(s + np.array([-1, 0.6, 0.6, -1]), np.array([7.2, 7.2, 7.5, 7.5]), z),
                (225, 228, 225),
            )


@lru_cache(maxsize=6)
def facade(kind: int) -> np.ndarray:
    """(128, 256, 3) uint8 front of a house: rows of windows on a plain wall."""
    rng = np.random.default_rng([128, kind])
    walls = ((150, 92, 72), (176, 166, 148), (122, 116, 112), (196, 186, 170), (110, 74, 62), (140, 146, 152))
    image = np.empty((128, 256, 3), np.uint8)
    image[:] = walls[kind]
    storeys, bays = int(rng.integers(3, 6)), int(rng.integers(8, 14))
    for row in range(storeys):
        for bay in range(bays):
            x, y = 256 * (bay + 0.25) / bays, 118 * (row + 0.2) / storeys
            tone = rng.uniform(35, 95) if row < storeys - 1 else rng.uniform(25, 120)
            corner = (int(x + 128 / bays), int(y + 70 / storeys))
            cv2.rectangle(image, (int(x), int(y)), corner, (tone, tone * 1.05, tone * 1.12), -1)
            cv2.rectangle(image, (int(x), int(y)), corner, (190, 188, 182), 1)
    return image


def draw_houses(image: np.ndarray, view: View, road: Road, style: Look, first: float, rng: np.random.Generator) -> None:
    """A row of houses at either side of a street from ``first`` metres on, the far ones first."""
    fronts = []
    for side, edge in ((-1, road.left), (1, road.right)):
        z, s = first + rng.uniform(0, 9), edge + side * rng.uniform(5, 11)
        while z < 190:
            length = rng.uniform(10, 30)
            if rng.random() < 0.8:
                fronts.append(
                    (z, z + length, s + side * rng.uniform(0, 2), rng.uniform(6, 17), int(rng.integers(0, 6)))
                )
            z += length + rng.uniform(0, 8)
    for near, far, s, tall, kind in sorted(fronts, reverse=True):
        _front(image, view, (near, far), s, tall, kind, style)


def _front(
    image: np.ndarray, view: View, z: tuple[float, float], s: float, tall: float, kind: int, style: Look
) -> None:
    """One house: the gable that looks towards the camera and the front along the road."""
    tint = style.afar(facade(kind)[64, 1], sum(z) / 2)
    gable = view.project(s + np.array([0, np.sign(s) * 12, np.sign(s) * 12, 0]), np.array([0, 0, tall, tall]), z[0])
    fill(image, gable, np.asarray(tint) * 0.7)
    corners = view.project(s, np.array([tall, tall, 0, 0]), np.array([z[0], z[1], z[1], z[0]])).astype(np.float32)
    rows, columns = slice_within(view.size, corners.min(0), corners.max(0))
    part, low = image[rows, columns], np.array([columns.start, rows.start], np.float32)
    if not part.size:
        return
    if max(part.shape[:2]) < 12:
        fill(image, corners, tint)
        return
    source = np.array([[0, 0], [255, 0], [255, 127], [0, 127]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, corners - low)
    picture = cv2.warpPerspective(
        facade(kind), matrix, part.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.zeros(part.shape[:2], np.uint8)
    fill(cover, corners - low, (255,))
    air = float(np.exp(-sum(z) / 2 / style.haze))
    hazy = cv2.addWeighted(picture, air, np.full_like(picture, style.sky[1], np.uint8), 1 - air, 0)
    cv2.copyTo(hazy, cover, part)
