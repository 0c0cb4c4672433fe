"""Lanes over the road: in place, bent, with a spike, lost. Every function draws on a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from sfcore.colours import FULL, LABEL, MOVED, OBJECTS, rgb
from sfcore.drawing import DARK, SHIFT, Image, banded, dashes, draw_dots, draw_lines, fixed, stroke, write_names
from sfcore.tasks.lanes.distortion import LaneDistortion
from sfcore.tasks.lanes.pairing import LANE_WIDTH
from sfcore.tasks.lanes.types import Lanes, Polyline

TOLERANCE = 1.0  # pixels at 640 px image width under which a lane counts as in place
DASH, GAP = 16.0, 18.0  # of labels, in pixels at the drawing width

COLOURS = {"bend": "#E69F00", "spike": "#D55E00", "misalignment": "#CC79A7"}  # of the parts of a distortion

Kind = Literal["in place", "bend", "spike", "misalignment"]


@dataclass(frozen=True)
class Stretch:
    """A run of points of one lane that all moved in the same way.

    Attributes:
        kind: what happened to it.
        points: (N, 2) x, y in pixels of the lanes' image.
        lost: the points belong to the reference: they are missing from the other set.
    """

    kind: Kind
    points: Polyline
    lost: bool = False


def stretches(
    reference: Lanes, other: Lanes, moved: LaneDistortion, image: int = 0, tolerance: float = TOLERANCE
) -> list[Stretch]:
    """Cut the lanes of ``other`` into stretches by what happened to them.

    Args:
        moved: of ``other`` against ``reference``.
        image: which image of the batch.
        tolerance: displacement in pixels at 640 width up to which a point is in place.
    """
    rows = reference.rows.cpu().numpy()
    before = reference.x[image if len(reference) > 1 else 0].cpu().numpy()
    after = other.x[image].cpu().numpy()
    partners = moved.pairs[image].cpu().tolist()
    distance, terminal = moved.distance[image].cpu().numpy(), moved.terminal[image].cpu().numpy()
    found: list[Stretch] = []
    for lane, partner in enumerate(partners):
        if partner < 0:
            found += _runs(before[lane], rows, np.full(len(rows), "misalignment"), lost=True)
            continue
        far = np.nan_to_num(distance[lane]) > tolerance
        kinds = np.where(far, np.where(terminal[lane], "bend", "spike"), "in place")
        kinds = np.where(np.isnan(before[lane]), "misalignment", kinds)
        found += _runs(after[partner], rows, kinds)
        found += _runs(np.where(np.isnan(after[partner]), before[lane], np.nan), rows, kinds, lost=True)
    for lane in sorted(set(range(len(after))) - set(partners)):
        found += _runs(after[lane], rows, np.full(len(rows), "misalignment"))
    return [s if not s.lost else Stretch("misalignment", s.points, True) for s in found]


def _runs(x: np.ndarray, rows: np.ndarray, kinds: np.ndarray, lost: bool = False) -> list[Stretch]:
    """Split one lane where its kind changes or a point is absent; neighbours share their border point."""
    found: list[Stretch] = []
    start = 0
    for row in range(1, len(rows) + 1):
        if row < len(rows) and kinds[row] == kinds[start] and np.isnan(x[row]) == np.isnan(x[start]):
            continue
        end = row + 1 if row < len(rows) and not np.isnan(x[row]) else row
        if not np.isnan(x[start]) and end - start >= 2:
            found.append(Stretch(kinds[start], np.stack([x[start:end], rows[start:end]], 1), lost))
        start = row
    return found


def draw_lanes(image: Image, lanes: Lanes, index: int = 0, colour: str = FULL, thickness: float = 6.0) -> Image:
    """One lane set over the road, each lane a line with a dark rim.

    Args:
        thickness: pixels at 1280 px, the drawing width.
    """
    picture = image.copy()
    lines = lanes[index].resized(image.shape[:2]).polylines(0)
    draw_lines(picture, lines, rgb(colour), thickness * stroke(image))
    return picture


def draw_moved(
    image: Image, reference: Lanes, other: Lanes, moved: LaneDistortion, index: int = 0, tolerance: float = TOLERANCE
) -> Image:
    """Two lane sets: the reference as a broad translucent band, the other as a line coloured by what happened.

    Stretches that are missing from ``other`` are dotted along the reference. For ``tolerance`` see :func:`stretches`.
    """
    unit = stroke(image)
    base = reference[index if len(reference) > 1 else 0].resized(image.shape[:2]).polylines(0)
    picture = banded(image, base, rgb(FULL), 14 * unit)
    scale = np.array([image.shape[1] / other.size[1], image.shape[0] / other.size[0]])
    pieces = stretches(reference, other, moved, index, tolerance)
    for kind in ("in place", "misalignment", "bend", "spike"):
        colour = rgb(COLOURS.get(kind, MOVED))
        chosen = [s for s in pieces if s.kind == kind]
        draw_lines(picture, [s.points * scale for s in chosen if not s.lost], colour, 5 * unit)
        for piece in chosen:
            if piece.lost:
                draw_dots(picture, piece.points * scale, colour, 4 * unit)
    return picture


def lane_names(lanes: Lanes, index: int = 0) -> dict[int, str]:
    """Slot of each lane of one image to its name: "Lane 1", "Lane 2", … from left to right at the bottom."""
    x = lanes.x[index].cpu().numpy()
    slots = [int(slot) for slot in np.flatnonzero(lanes.present[index].cpu().numpy())]

    def foot(slot: int) -> float:
        """Where the lane, drawn on in its lowest direction, meets the bottom of the image."""
        at = np.flatnonzero(~np.isnan(x[slot]))[-8:]
        slope = (x[slot][at[-1]] - x[slot][at[0]]) / max(at[-1] - at[0], 1)
        return float(x[slot][at[-1]] + slope * (x.shape[1] - 1 - at[-1]))

    return {slot: f"Lane {place + 1}" for place, slot in enumerate(sorted(slots, key=foot))}


def name_lanes(image: Image, lanes: Lanes, index: int = 0) -> Image:
    """Write each lane's name over its middle, on a dark label."""
    names, lines = lane_names(lanes, index), lanes[index].resized(image.shape[:2]).polylines(0)
    named = zip(lines, sorted(names), strict=True)
    return write_names(image, [(*line[len(line) // 2], names[slot]) for line, slot in named])


def draw_labels(image: Image, lanes: Sequence[Polyline], size: tuple[int, int]) -> Image:
    """Labelled lanes on a copy of the picture.

    Args:
        lanes: (N, 2) x, y in pixels of an image of ``size`` (height, width).
    """
    picture, unit = image.copy(), stroke(image)
    scale = np.array([image.shape[1] / size[1], image.shape[0] / size[0]])
    pieces = [fixed(piece) for lane in lanes for piece in dashes(np.asarray(lane) * scale, DASH * unit, GAP * unit)]
    for tone, thickness in ((DARK, 4 * unit), (rgb(LABEL), 2 * unit)):
        cv2.polylines(picture, pieces, False, tone, max(1, round(thickness)), cv2.LINE_AA, SHIFT)
    return picture


def draw_each(image: Image, lanes: Sequence[Polyline]) -> Image:
    """A copy of the image with each lane in a colour of its own.

    Args:
        lanes: x, y in the image's pixels.
    """
    picture = image.copy()
    width = max(2, round(0.4 * LANE_WIDTH * image.shape[1]))
    for index, line in enumerate(lanes):
        for colour, thickness in (((0, 0, 0), width + 2), (rgb(OBJECTS[index % len(OBJECTS)]), width)):
            cv2.polylines(picture, [fixed(np.asarray(line))], False, colour, thickness, cv2.LINE_AA, SHIFT)
    return picture
