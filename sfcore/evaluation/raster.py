"""Lanes drawn as strokes of pixels, and how far two strokes cover each other.

The official tools of CULane and CurveLanes draw each of two lanes into an image of its own and compare the images,
for every pair. Here each lane is drawn once, into no more than the part of the image that it touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

OUTSIDE = -(2**31)  # what a processor makes of a coordinate that no 32-bit integer holds
SHIFT, ONE = 16, 1 << 16  # OpenCV's fixed-point numbers: bits after the point, and the number one


@dataclass(frozen=True)
class Stroke:
    """The pixels of a drawn lane.

    Attributes:
        mask: (h, w) uint8, 1 where the lane is; the part of the image that it touches.
        left, top: where in the image that part begins.
        area: pixels of the lane.
    """

    mask: np.ndarray
    left: int
    top: int
    area: int


def draw(points: np.ndarray, size: tuple[int, int], width: int) -> Stroke:
    """A line through whole pixels.

    The same pixels as one ``cv::line`` for each pair of neighbours: points that repeat the one before add none.

    Args:
        points: (N, 2) x, y of at least two points, integral; beyond 32 bits they are OUTSIDE.
        size: (height, width) of the image; what lies outside is not drawn.
        width: of the line in pixels.
    """
    points = _pixels(points)
    lowest, highest = points.min(0), points.max(0)
    begin = np.clip(lowest - width, 0, size[::-1])
    end = np.clip(highest + width + 1, begin, size[::-1])
    mask = np.zeros((end - begin)[::-1], np.uint8)
    if not mask.size:
        return Stroke(mask, int(begin[0]), int(begin[1]), 0)
    if (lowest < -width).any() or (highest >= end + width).any():
        _draw_beyond(mask, points - begin, width)
    else:
        _draw_line(mask, points - begin, width)
    return Stroke(mask, int(begin[0]), int(begin[1]), cv2.countNonZero(mask))


def _pixels(points: np.ndarray) -> np.ndarray:
    """(N, 2) int64, without those between both ends that repeat the one before."""
    inside = np.abs(points) < -OUTSIDE
    if not inside.all():
        points = np.where(inside, points, OUTSIDE)
    keep = np.ones(len(points), bool)
    keep[1:-1] = (points[1:-1, 0] != points[:-2, 0]) | (points[1:-1, 1] != points[:-2, 1])
    return points[keep].astype(np.int64)


def _draw_line(mask: np.ndarray, points: np.ndarray, width: int) -> None:
    cv2.polylines(mask, [points.astype(np.int32)], False, 1, width)


def _draw_beyond(mask: np.ndarray, points: np.ndarray, width: int) -> None:
    """A line some of whose points lie beyond the image by more than its width.

    From version 4.13 on, OpenCV cuts segments that reach so far before it draws them, which moves a few pixels. So
    that the version does not matter, they are drawn one by one.
    """
    low: np.ndarray = points < -width
    high: np.ndarray = points >= np.array(mask.shape[::-1]) + width
    beyond = (low | high).any(1)
    apart = ((low[:-1] & low[1:]) | (high[:-1] & high[1:])).any(1)  # both ends on one side: not in sight
    for index in np.flatnonzero((beyond[:-1] | beyond[1:]) & ~apart):
        _draw_segment(mask, points[index : index + 2], width)
    changes = np.flatnonzero(beyond[1:] != beyond[:-1]) + 1
    for run, out in zip(np.split(points, changes), beyond[np.append(0, changes)], strict=True):
        if not out:
            _draw_line(mask, np.concatenate([run[:1], run]), width)


def _draw_segment(mask: np.ndarray, ends: np.ndarray, width: int) -> None:
    """The straight part of a segment as OpenCV 4.6 draws it; the round ends are those of the line."""
    lost = (ends == OUTSIDE).all(1)
    if lost.any():
        _draw_lost(mask, ends[~lost][0], width)
    elif width > 1 and np.abs(ends).max() + width < 2**15:  # what fits in fixed point
        step = ends[1] - ends[0]
        half = (width + 1) // 2 * ONE / np.hypot(*step)
        across = np.rint(half * np.array([-step[1], step[0]])).astype(int)
        corners = np.concatenate([ends * ONE - across, (ends * ONE + across)[::-1]])
        cv2.fillConvexPoly(mask, corners.astype(np.int32), 1, cv2.LINE_8, SHIFT)
    else:
        _draw_line(mask, ends, width)


def _draw_lost(mask: np.ndarray, end: np.ndarray, width: int) -> None:
    """A segment that comes from OUTSIDE in both coordinates, as those of a lane with a repeated point do.

    The polygon fill of OpenCV 4.6 overflows there, and only the edges remain: two diagonals ``width`` apart, joined
    where they end.
    """
    (x, y), half = end.tolist(), (width + 1) // 2
    across, along = round(half * 2**0.5), round(half / 2**0.5)
    far = max(min(x, y), 0) + 2 * width
    _draw_line(mask, np.array([[x - along, y + along], [x + along, y - along]]), 1)
    for dx, dy in ((across // 2, across // 2 - across), (-(across // 2), across - across // 2)):
        _draw_line(mask, np.array([[x + dx, y + dy], [x + dx - far, y + dy - far]]), 1)


def iou_table(first: Sequence[Stroke | None], second: Sequence[Stroke | None]) -> np.ndarray:
    """(first, second) IoU of every two strokes; 0 where one was not drawn (None), NaN where both have no pixel."""
    table = np.zeros((len(first), len(second)))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if a and b:
                shared = _shared(a, b)
                union = a.area + b.area - shared
                table[i, j] = shared / union if union else np.nan
    return table


def _shared(a: Stroke, b: Stroke) -> int:
    """How many pixels belong to both."""
    left, top = max(a.left, b.left), max(a.top, b.top)
    right = min(a.left + a.mask.shape[1], b.left + b.mask.shape[1])
    bottom = min(a.top + a.mask.shape[0], b.top + b.mask.shape[0])
    if left >= right or top >= bottom:
        return 0
    parts = (s.mask[top - s.top : bottom - s.top, left - s.left : right - s.left] for s in (a, b))
    return cv2.countNonZero(cv2.bitwise_and(*parts))


@dataclass(frozen=True)
class Spline:
    """A natural cubic spline through points, by arc length along the chords between them.

    Attributes:
        coefficients: a, b, c, d, each (2, S), of its S segments: the point x, y is ``a + b t + c t² + d t³``.
        lengths: (S,) of the chords; t runs from 0 to there.
    """

    coefficients: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    lengths: np.ndarray


def spline(points: np.ndarray) -> Spline:
    """The spline through (N, 2) points, at least two; NaN everywhere where a point repeats the one before.

    Differences of points are taken in their own precision and all else in double precision, in the order of the
    official tools: a last digit can decide on which side of a pixel's edge a point lies.
    """
    steps = np.diff(points.T).astype(np.float64)
    h = np.sqrt(steps[0] ** 2 + steps[1] ** 2)
    bends = np.zeros(points.T.shape)
    with np.errstate(invalid="ignore"):  # 0 / 0 where points repeat
        slopes = steps / h
        bends[:, 1:-1] = _bends(h, 6 * np.diff(slopes)) if h.all() else np.nan
        linear = slopes - (2 * h * bends[:, :-1] + h * bends[:, 1:]) / 6
        cubic = np.diff(bends) / (6 * h)
    return Spline((points[:-1].T.astype(np.float64), linear, bends[:, :-1] / 2, cubic), h)


def _bends(lengths: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(2, N - 2) second derivatives at the inner points, 0 at both ends (the tridiagonal matrix algorithm).

    Row i of the system is ``h[i] M[i] + 2 (h[i] + h[i+1]) M[i+1] + h[i+1] M[i+2] = right[i]``.
    """
    h, swept = lengths.tolist(), []
    c = x = y = 0.0
    for i, (dx, dy) in enumerate(right.T.tolist()):
        pivot = 2 * (h[i] + h[i + 1]) - h[i] * c
        c, x, y = h[i + 1] / pivot, (dx - h[i] * x) / pivot, (dy - h[i] * y) / pivot
        swept.append((c, x, y))
    x = y = 0.0
    bends = []
    for c, dx, dy in reversed(swept):
        x, y = dx - c * x, dy - c * y
        bends.append((x, y))
    return np.array(bends[::-1]).reshape(-1, 2).T
