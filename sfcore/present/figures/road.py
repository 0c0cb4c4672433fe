"""The road with lanes, heat maps and marks drawn over it. Every function draws on a copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from matplotlib import colormaps
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from sfcore.colours import FULL, MOVED, PARTS, rgb
from sfcore.detectors.base import Image
from sfcore.present.pictures import fitted
from sfcore.tasks.lanes import Distortion, Lanes, Polyline

WIDTH = 1280  # pictures are drawn at this width, tall ones at this height, so that lines stay crisp on any screen
TOLERANCE = 1.0  # pixels at 640 px image width under which a lane counts as in place
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates

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
    reference: Lanes, other: Lanes, moved: Distortion, image: int = 0, tolerance: float = TOLERANCE
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


def canvas(image: Image, width: int = WIDTH) -> Image:
    """A copy of the image at drawing width, or of that height where it is tall: see :func:`fitted`."""
    return fitted(image, width)


def stroke(image: Image) -> float:
    """What a thickness or a size of text of one pixel at drawing width comes to in a picture, in its pixels."""
    return max(image.shape[:2]) / WIDTH


def draw_lanes(image: Image, lanes: Lanes, index: int = 0, colour: str = FULL, thickness: float = 6.0) -> Image:
    """One lane set over the road, each lane a line with a dark rim.

    Args:
        thickness: pixels at 1280 px, the drawing width.
    """
    picture = image.copy()
    lines = lanes[index].resized(image.shape[:2]).polylines(0)
    _rimmed(picture, lines, rgb(colour), thickness * stroke(image))
    return picture


def draw_moved(
    image: Image, reference: Lanes, other: Lanes, moved: Distortion, index: int = 0, tolerance: float = TOLERANCE
) -> Image:
    """Two lane sets: the reference as a broad translucent band, the other as a line coloured by what happened.

    Stretches that are missing from ``other`` are dotted along the reference. For ``tolerance`` see :func:`stretches`.
    """
    unit = stroke(image)
    base = reference[index if len(reference) > 1 else 0].resized(image.shape[:2]).polylines(0)
    picture = _band(image, base, rgb(FULL), 14 * unit)
    scale = np.array([image.shape[1] / other.size[1], image.shape[0] / other.size[0]])
    pieces = stretches(reference, other, moved, index, tolerance)
    for kind in ("in place", "misalignment", "bend", "spike"):
        colour = rgb(PARTS.get(kind, MOVED))
        chosen = [s for s in pieces if s.kind == kind]
        _rimmed(picture, [s.points * scale for s in chosen if not s.lost], colour, 5 * unit)
        for piece in chosen:
            if piece.lost:
                _dots(picture, piece.points * scale, colour, 4 * unit)
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
    pen = Pillow.fromarray(image)
    draw, unit = ImageDraw.Draw(pen, "RGBA"), stroke(image)
    names = lane_names(lanes, index)
    lines = lanes[index].resized(image.shape[:2]).polylines(0)
    for line, slot in zip(lines, sorted(names), strict=True):
        x, y = line[len(line) // 2]
        font = _font(round(22 * unit))
        left, top, right, bottom = draw.textbbox((x, y), names[slot], font=font, anchor="mm")
        pad = 6 * unit
        box = (left - pad * 1.4, top - pad, right + pad * 1.4, bottom + pad)
        draw.rounded_rectangle(box, radius=6 * unit, fill=(12, 18, 28, 205))
        draw.text((x, y), names[slot], font=font, anchor="mm", fill=(255, 255, 255, 255))
    return np.asarray(pen)


def heat_over(
    image: Image,
    values: np.ndarray,
    colours: str = "viridis",
    top: float | None = None,
    cut: float = 0.0,
    cells: bool = False,
) -> Image:
    """A heat map over the darkened road: the higher the value, the more opaque.

    Args:
        values: (h, w), any size; stretched over the image. Not finite counts as 0.
        colours: name of a Matplotlib colour map.
        top: the value drawn brightest; the largest when None.
        cut: share of the image's height, from the top, that the values say nothing about.
        cells: draw each value as a rectangle instead of blending it with its neighbours.
    """
    height, width = image.shape[:2]
    sky = round(cut * height)
    clean = np.nan_to_num(np.asarray(values, np.float32), posinf=0.0, neginf=0.0)
    top = float(clean.max()) if top is None else top
    share = np.clip(clean / top, 0, 1) if top > 0 else np.zeros_like(clean)
    method = cv2.INTER_NEAREST if cells else cv2.INTER_LINEAR
    level = cv2.resize((share * 255).astype(np.uint8), (width, height - sky), interpolation=method)
    level = np.pad(level, ((sky, 0), (0, 0)))
    alpha = 0.9 * np.sqrt(np.arange(256, dtype=np.float32) / 255)[:, None]
    painted = _table(colours) * alpha
    return (dimmed(image) * (1 - alpha)[level] + painted[level]).astype(np.uint8)


def dimmed(image: Image) -> Image:
    """The road in dark grey, as the ground of heat maps."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) * np.float32(0.55)
    return cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB)


def colour_map(share: np.ndarray, colours: str = "viridis") -> np.ndarray:
    """Values in [0, 1] to (..., 3) uint8 colours."""
    return _table(colours)[(np.clip(share, 0, 1) * 255).astype(np.uint8)]


@lru_cache(maxsize=8)
def _table(colours: str) -> np.ndarray:
    return (colormaps[colours](np.arange(256))[:, :3] * 255).round().astype(np.uint8)


def mark_box(image: Image, box: tuple[float, float, float, float], colour: str = "#FFFFFF") -> Image:
    """A rectangle (left, top, right, bottom in shares of the image) outlined on a copy."""
    picture, (height, width) = image.copy(), image.shape[:2]
    left, top, right, bottom = (round(v * n) for v, n in zip(box, (width, height) * 2, strict=True))
    for tone, thickness in (((0, 0, 0), 5), (rgb(colour), 2)):
        cv2.rectangle(picture, (left, top), (right, bottom), tone, thickness, cv2.LINE_AA)
    return picture


def jpeg(image: Image, quality: int = 85) -> bytes:
    """Encode an RGB picture; fast and small, for pictures that follow a slider."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(image: Image) -> bytes:
    """Encode an RGB picture without loss."""
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def sheet(images: Iterable[Image], columns: int, width: int = WIDTH) -> Image:
    """Pictures of one aspect on a grid, with thin gaps."""
    gap = 4
    each = (width - gap * (columns - 1)) // columns
    cells = [canvas(image, each) for image in images]
    height = max(cell.shape[0] for cell in cells)
    rows = -(-len(cells) // columns)
    page = np.zeros((rows * (height + gap) - gap, width, 3), np.uint8)
    for place, cell in enumerate(cells):
        y, x = (place // columns) * (height + gap), (place % columns) * (each + gap)
        page[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    return page


def _fixed(line: Polyline) -> np.ndarray:
    return np.round(line * 2**_SHIFT).astype(np.int32).reshape(-1, 1, 2)


def _rimmed(picture: Image, lines: list[Polyline], colour: tuple[int, int, int], thickness: float) -> None:
    """Anti-aliased lines with a dark rim, drawn into ``picture``."""
    fixed = [_fixed(line) for line in lines]
    for tone, width in (((12, 18, 28), thickness + 3), (colour, thickness)):
        cv2.polylines(picture, fixed, False, tone, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _band(image: Image, lines: list[Polyline], colour: tuple[int, int, int], thickness: float) -> Image:
    painted = image.copy()
    cv2.polylines(painted, [_fixed(p) for p in lines], False, colour, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)
    return cv2.addWeighted(painted, 0.62, image, 0.38, 0)


def _dots(picture: Image, line: Polyline, colour: tuple[int, int, int], radius: float) -> None:
    """Dots every few radii along a line, drawn into ``picture``."""
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    for at in np.arange(0, steps[-1] + 1e-6, 4.5 * radius):
        place = np.array([np.interp(at, steps, line[:, 0]), np.interp(at, steps, line[:, 1])])
        centre = tuple(int(v) for v in np.round(place * 2**_SHIFT))
        for tone, size in (((12, 18, 28), radius + 1.5), (colour, radius)):
            cv2.circle(picture, centre, round(size * 2**_SHIFT), tone, -1, cv2.LINE_AA, _SHIFT)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(max(size, 8))  # type: ignore[return-value]
