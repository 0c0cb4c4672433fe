"""Other vehicles on the road: where they drive, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sfcore.datasets.scenes.bodies import SHAPES, body, lamp_offset
from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.look import RGB, Look
from sfcore.datasets.scenes.plan import Road

FARTHEST_CAR = 150.0  # metres

_DARK: tuple[RGB, ...] = ((28, 30, 34), (44, 46, 52), (70, 72, 78), (38, 54, 92), (130, 26, 28))
_PALE: tuple[RGB, ...] = ((214, 216, 220), (168, 172, 178), (232, 232, 230), (120, 124, 130), (96, 88, 74))


@dataclass(frozen=True)
class Vehicle:
    """A vehicle whose near end is at distance z, its middle at s; it may come towards the camera."""

    kind: str
    s: float
    z: float
    paint: RGB
    oncoming: bool = False
    braking: bool = False
    parked: bool = False


def place(view: View, car: Vehicle, corners: np.ndarray) -> np.ndarray:
    """(N, 2) pixels of points (N, 3) in a vehicle's own coordinates; what is behind the camera is drawn to it."""
    across, height, ahead = corners.T
    return view.project(car.s + across, height, np.maximum(car.z + ahead, 0.9))


def outline(view: View, car: Vehicle) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """(P, 2) pixels of the corners of all faces that are drawn, and where each face begins and ends in them."""
    shell = body(car.kind, car.oncoming, _side(view, car))
    return place(view, car, shell.corners), shell.spans


def _side(view: View, car: Vehicle) -> int:
    """The long side that shows: see :func:`sfcore.datasets.scenes.bodies.body`."""
    x = car.s + float(view.course.lateral(np.asarray(car.z)))
    return 0 if abs(x) < SHAPES[car.kind].width / 2 else int(-np.sign(x))


def draw_vehicle(image: np.ndarray, view: View, car: Vehicle, style: Look) -> None:
    """Draw one vehicle over what is already there."""
    side = _side(view, car)
    shell = body(car.kind, car.oncoming, side)
    pixels = place(view, car, shell.corners)
    if pixels[:, 0].max() < 0 or pixels[:, 0].min() >= view.size[1]:
        return
    pixels = np.rint(np.clip(pixels, -20000, 20000) * 16).astype(np.int32)
    colours = np.where(shell.materials[:, None] < 0, shell.colours, _palette(car, side, style)[shell.materials])
    through = np.exp(-car.z / style.haze)
    colours = np.minimum(colours * shell.shades, 255) * through + np.asarray(style.sky[1]) * (1 - through)
    for (begin, end), colour in zip(shell.spans, colours.tolist(), strict=True):
        cv2.fillPoly(image, [pixels[begin:end]], colour, cv2.LINE_AA, 4)


def _palette(car: Vehicle, side: int, style: Look) -> np.ndarray:
    """(4, 3) colours of the materials PAINT, SIDE, LAMP and SKY."""
    sunny = style.sun > 0.5 and side * style.sun_side < 0
    lamp = (232, 234, 228) if car.oncoming else ((250, 44, 34) if car.braking else (148, 22, 22))
    paint = np.asarray(car.paint) * (1.0 if style.sun > 0.3 else 0.85)
    return np.stack([paint, paint * (0.8 if sunny else 0.56), np.asarray(lamp), np.asarray(style.sky[1]) * 0.32 + 22])


def lamp_points(view: View, car: Vehicle) -> np.ndarray:
    """(2, 2) pixels of the lamps of the end that faces the camera; none of a parked vehicle."""
    if car.parked:
        return np.empty((0, 2))
    shape = SHAPES[car.kind]
    x = lamp_offset(shape)
    return place(view, car, np.array([[-x, shape.lamp, 0], [x, shape.lamp, 0]]))


def shadow_outline(view: View, car: Vehicle, side: float) -> np.ndarray:
    """(4, 2) image polygon of a vehicle's shadow; ``side`` 0 is the ground beneath it, ±1 a low sun."""
    shape = SHAPES[car.kind]
    left = -shape.width / 2 - 0.05 + min(side, 0) * shape.height
    right = shape.width / 2 + 0.05 + max(side, 0) * shape.height
    near, far = -0.2, shape.length
    return place(view, car, np.array([[left, 0, near], [right, 0, near], [right, 0, far], [left, 0, far]]))


def traffic(rng: np.random.Generator, road: Road, density: float) -> tuple[list[Vehicle], list[Vehicle]]:
    """Vehicles at believable gaps, the far ones first: those beyond the median, and those on the camera's road.

    Args:
        density: vehicles per 100 m of lane.
    """
    gap = 100 / density
    own = int(np.argmin(np.abs(road.lanes)))
    near: list[Vehicle] = []
    for i, s in enumerate(road.lanes):
        first = rng.uniform(8, 18) + rng.exponential(0.8 * gap) if i == own else 3.0 + rng.exponential(0.5 * gap)
        near += _queue(rng, s, first, gap, i < road.oncoming)
    beyond: list[Vehicle] = []
    if road.beyond:
        for lane in (2.0, 5.5, 9.0):
            beyond += _queue(rng, road.left - road.beyond - lane, 8 + rng.exponential(gap), gap, True)
    if road.parking:
        for s, towards in ((road.left + 1.1, road.oncoming > 0), (road.right - 1.1, False)):
            row = _queue(rng, s, rng.uniform(4, 20), rng.uniform(3, 30), towards)
            near += [Vehicle(c.kind, s, c.z, c.paint, towards, parked=True) for c in row if c.kind != "truck"]
    return sorted(beyond, key=_nearness), sorted(near, key=_nearness)


def _queue(rng: np.random.Generator, s: float, first: float, gap: float, oncoming: bool) -> list[Vehicle]:
    """Vehicles on one lane, from ``first`` metres on, with exponential gaps."""
    found, z = [], first
    while z < FARTHEST_CAR:
        kind = str(rng.choice(list(SHAPES), p=[0.5, 0.3, 0.12, 0.08]))
        paints = _PALE if kind == "truck" or rng.random() < 0.5 else _DARK
        paint, braking = paints[rng.integers(0, len(paints))], bool(rng.random() < 0.25)
        found.append(Vehicle(kind, s + float(rng.normal(0, 0.2)), float(z), paint, oncoming, braking))
        z += SHAPES[kind].length + 3 + rng.exponential(gap)
    return found


def _nearness(car: Vehicle) -> float:
    return -car.z
