"""Where things are: the pinhole camera, the course of the road, and which distance every image row sees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sfcore.tasks.lanes import Polyline

FARTHEST = 1500.0  # metres; what lies beyond is the backdrop's


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above the road, looking along +z and pitched towards the ground.

    Attributes:
        focal: focal length in pixels.
        cx, cy: principal point in pixels; pixel centres are at whole numbers.
        height: metres above the road at z = 0.
        pitch: radians, positive looks down.
    """

    focal: float
    cx: float
    cy: float
    height: float
    pitch: float

    def depth(self, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Distance along the optical axis, metres: z·cos p + (height − y)·sin p."""
        return z * np.cos(self.pitch) + (self.height - y) * np.sin(self.pitch)

    def row(self, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Image row of points at height y and distance z: cy + f·((height − y)·cos p − z·sin p) / depth."""
        down = (self.height - y) * np.cos(self.pitch) - z * np.sin(self.pitch)
        return self.cy + self.focal * down / self.depth(y, z)

    def project(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of points x right, y up, z forward, in metres from the road below the camera."""
        x, y, z = np.asarray(x), np.asarray(y), np.asarray(z)
        pixels = np.empty((*np.broadcast_shapes(x.shape, y.shape, z.shape), 2))
        pixels[..., 0] = self.cx + self.focal * x / self.depth(y, z)
        pixels[..., 1] = self.row(y, z)
        return pixels


@dataclass(frozen=True)
class Course:
    """How the road runs: a clothoid (as its cubic) from above, and a gentle change of grade from the side.

    Attributes:
        heading: slope dx/dz of the road at the camera.
        curvature: 1/m at the camera, positive bends to the right.
        curvature_rate: 1/m², its change per metre.
        grade: slope that the road tends to, positive uphill.
        grade_length: metres over which it gets there.
    """

    heading: float = 0.0
    curvature: float = 0.0
    curvature_rate: float = 0.0
    grade: float = 0.0
    grade_length: float = 100.0

    def lateral(self, z: np.ndarray) -> np.ndarray:
        """x of the road's reference line, metres: h·z + k·z²/2 + k'·z³/6."""
        return z * (self.heading + z * (self.curvature / 2 + z * self.curvature_rate / 6))

    def elevation(self, z: np.ndarray) -> np.ndarray:
        """y of the road, metres: a hyperbola, level at the camera and of slope ``grade`` far away."""
        length = self.grade_length
        return self.grade * length * (np.sqrt(1 + (z / length) ** 2) - 1)


@dataclass(frozen=True)
class View:
    """A camera on a road: projection in road coordinates (s metres right of the reference line, y up, z ahead).

    The camera does not roll and the road's height depends on z alone, so every image row sees one distance:
    inverse projection is a table of one value a row.
    """

    camera: Camera
    course: Course
    size: tuple[int, int]

    def project(self, s: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        """(..., 2) pixels of points in road coordinates; y is above the road's surface."""
        z = np.asarray(z, np.float64)
        return self.camera.project(s + self.course.lateral(z), y + self.course.elevation(z), z)

    @cached_property
    def _visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows (rising) and the distances seen there, without what a crest hides."""
        z = np.geomspace(0.5, FARTHEST, 2048)
        z = z[self.camera.depth(self.course.elevation(z), z) > 0.1]
        row = self.camera.row(self.course.elevation(z), z)
        seen = row < np.concatenate([[np.inf], np.minimum.accumulate(row)[:-1]])
        return row[seen][::-1], z[seen][::-1]

    def distance(self, rows: np.ndarray) -> np.ndarray:
        """z that the given image rows see, metres; rows above the horizon see the farthest point."""
        return np.interp(rows, *self._visible)

    @cached_property
    def horizon(self) -> float:
        """The row at which the ground ends."""
        return float(self._visible[0][0])

    @cached_property
    def top(self) -> int:
        """The first whole row of ground, within the image."""
        return int(np.clip(np.ceil(self.horizon), 0, self.size[0] - 1))

    @cached_property
    def z(self) -> np.ndarray:
        """(R,) distance seen by each ground row, from :attr:`top` to the bottom."""
        return self.distance(np.arange(self.top, self.size[0]))

    @cached_property
    def footprint(self) -> np.ndarray:
        """(R,) metres of road along z that each ground row covers."""
        rows = np.arange(self.top, self.size[0])
        return np.maximum(self.distance(rows - 0.5) - self.distance(rows + 0.5), 1e-3)

    @cached_property
    def scale(self) -> np.ndarray:
        """(R,) pixels per metre across each ground row."""
        return self.camera.focal / self.camera.depth(self.course.elevation(self.z), self.z)

    def column(self, s: float | np.ndarray) -> np.ndarray:
        """(R,) column of the line at ``s`` on each ground row."""
        return self.camera.cx + (s + self.course.lateral(self.z)) * self.scale


def lane_label(view: View, s: float, reach: float) -> Polyline:
    """The visible part of the line at ``s`` from the bottom of the image up to the distance ``reach``.

    Points lie about every H/180 rows and are projected exactly; where the line crosses a side of the image
    it is cut there. Of a line that leaves and returns, the longest part is kept.

    Returns:
        (N, 2) x, y pixels within [0, W-1] × [0, H-1], y strictly falling; N may be 0.
    """
    height, width = view.size
    last = view.project(s, 0.0, reach)[1]
    rows = np.arange(height - 1, max(view.horizon, float(last)), -height / 180)
    z = view.distance(rows)
    points = view.project(s, 0.0, z[z <= reach])
    points = points[np.concatenate([[True], np.diff(points[:, 1]) < 0])] if len(points) else points
    points = points[(points[:, 1] <= height - 1 + 1e-3) & (points[:, 1] >= 0)]
    if len(points):
        points[:, 1] = np.minimum(points[:, 1], height - 1)
    return _within_sides(points, width - 1.0)


def _within_sides(points: Polyline, right: float) -> Polyline:
    """The longest run of points with 0 <= x <= right, extended to where it crosses the sides."""
    inside = (points[:, 0] >= 0) & (points[:, 0] <= right)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    if not len(edges):
        return points[:0]
    begin, end = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    run = [points[begin:end]]
    if begin > 0:
        run.insert(0, _crossing(points[begin], points[begin - 1], right))
    if end < len(points):
        run.append(_crossing(points[end - 1], points[end], right))
    line = np.concatenate(run)
    return line[np.concatenate([[True], np.diff(line[:, 1]) < 0])]


def _crossing(inside: np.ndarray, outside: np.ndarray, right: float) -> Polyline:
    """(1, 2) where the segment from inside to outside meets x = 0 or x = right."""
    border = 0.0 if outside[0] < 0 else right
    t = (border - inside[0]) / (outside[0] - inside[0])
    point = inside + t * (outside - inside)
    return np.array([[border, point[1]]])
