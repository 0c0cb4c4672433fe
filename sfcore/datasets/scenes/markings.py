"""The paint on the road: lane boundaries, arrows, crossings, each antialiased down to the horizon."""

from __future__ import annotations

import numpy as np

from sfcore.datasets.scenes.draw import Colour, fill
from sfcore.datasets.scenes.geometry import View
from sfcore.datasets.scenes.ground import Texture, slab
from sfcore.datasets.scenes.plan import Marking, Road

# Outlines of arrows on the road, (across, along) in metres; the second half mirrors a turn to the left.
_STRAIGHT = ((-0.08, 0), (-0.08, 3.4), (-0.32, 3.4), (0, 5.2), (0.32, 3.4), (0.08, 3.4), (0.08, 0))
_TURN = (
    (-0.08, 0),
    (-0.08, 2.6),
    (0.35, 3.4),
    (0.35, 2.9),
    (0.95, 3.9),
    (0.35, 4.8),
    (0.35, 4.2),
    (0.08, 3.6),
    (0.08, 0),
)


def stroke(
    view: View, s: float, width: float, weight: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of a line painted along the road and how much of each it covers.

    A pixel's coverage is the overlap of the line with a box as wide as the pixel (wider where the line
    runs flat in the image), times ``weight`` of its row: exact antialiasing of markings in the distance.

    Returns:
        rows, columns, coverage: (P,) each; rows count from ``view.top``.
    """
    centre, half = view.column(s), width / 2 * view.scale
    slope = np.abs(np.gradient(centre)) if len(centre) > 1 else np.zeros_like(centre)
    box = np.minimum(1 + 0.8 * np.minimum(slope, 30), np.maximum(2 * half, 1))
    reach = int(np.ceil((half + box).max())) + 1
    columns = np.floor(np.clip(centre, -1e4, 1e5)).astype(int)[:, None] + np.arange(-reach, reach + 2)
    gap = np.abs(columns - centre[:, None])
    cover = np.clip((half[:, None] - gap) / box[:, None] + 0.5, 0, np.minimum(1, 2 * half / box)[:, None])
    cover = cover * np.broadcast_to(np.asarray(weight, float), centre.shape)[:, None]
    rows, place = np.nonzero((cover > 0.004) & (columns >= 0) & (columns < view.size[1]))
    return rows, columns[rows, place], cover[rows, place].astype(np.float32)


def dashes(view: View, dash: float, period: float, phase: float) -> np.ndarray:
    """(R,) share of each ground row's stretch of road that a dashed line paints."""

    def painted(z: np.ndarray) -> np.ndarray:
        turns = (z + phase) / period
        return np.floor(turns) * dash + np.minimum((turns % 1) * period, dash)

    half = view.footprint / 2
    return (painted(view.z + half) - painted(view.z - half)) / view.footprint


def paint(image: np.ndarray, texture: Texture, marking: Marking, wear: np.ndarray) -> None:
    """Paint one lane boundary.

    Args:
        wear: (R, W) noise of deviation 1 that says where paint goes first.
    """
    view = texture.view
    weight: np.ndarray | float = 1.0
    if marking.kind == "dashed":
        weight = dashes(view, marking.dash, marking.period, marking.phase)
    ground = image[view.top :]
    for s in marking.lines:
        rows, columns, cover = stroke(view, s, marking.width, weight)
        left = np.clip(1.25 - 1.3 * marking.wear - marking.wear * wear[rows, columns], 0.08, 1)
        old = ground[rows, columns].astype(np.float32)
        new = np.asarray(marking.colour, np.float32)
        ground[rows, columns] = (old + (new - old) * (cover * left)[:, None]).astype(np.uint8)


def draw_arrows(image: np.ndarray, view: View, road: Road, rng: np.random.Generator) -> None:
    """An arrow or two on each lane of the camera's direction."""
    colour = np.asarray(road.markings[-1].colour) * 0.97
    z = rng.uniform(6, 14)
    for s in road.lanes[road.oncoming :]:
        outline = np.asarray(_STRAIGHT if rng.random() < 0.6 else _TURN)
        outline = outline * [rng.choice([-1.0, 1.0]), rng.uniform(0.9, 1.3)]
        for start in (z, z + rng.uniform(20, 35)):
            fill(image, view.project(s + outline[:, 0], 0.0, start + outline[:, 1]), colour)


def draw_crossing(image: np.ndarray, view: View, road: Road, asphalt: Colour, rng: np.random.Generator) -> None:
    """A crossing road with zebra stripes and a stop line before it."""
    z = rng.uniform(9, 18)
    slab(image, view, (-90, 90), (z, z + rng.uniform(10, 18)), asphalt)
    colour = np.full(3, rng.uniform(170, 235))
    stripes = np.arange(road.left + 0.3, road.right - 0.4, rng.uniform(0.9, 1.2))
    for near in (z - 4.2, z + 20):
        for s in stripes:
            slab(image, view, (s, s + 0.45), (near, near + 3.2), colour)
    slab(image, view, (road.lanes[road.oncoming] - 1.7, road.right - 0.3), (z - 6.2, z - 5.7), colour)
