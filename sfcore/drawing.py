"""Pictures of frames and what is drawn over them: lines, dots, names, heat maps, marks. Every function draws on a copy,
but for those that say what they draw into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from matplotlib import colormaps
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from sfcore.colours import rgb

Image = np.ndarray  # (height, width, 3) uint8, RGB
Line = np.ndarray  # (N, 2) x, y in pixels
Colour = tuple[int, int, int]

WIDTH = 1280  # pictures are drawn at this width, tall ones at this height, so that lines stay crisp on any screen
SLIMMEST = 16  # a fitted picture is at most so many times as long as it is broad
DARK = (12, 18, 28)  # rims and grounds of what must be seen on any picture
SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


def fitted(image: Image, longest: int) -> Image:
    """A copy of the image, scaled so that its longer side has ``longest`` pixels, whatever its shape.

    It keeps its aspect, but for slivers: those are broadened to 1 / SLIMMEST of their length, so that what is drawn
    on them is seen. Places in shares of the image stay what they are.
    """
    sides = np.array(image.shape[1::-1])
    size = np.maximum(np.round(sides * longest / sides.max()), -(-longest // SLIMMEST)).astype(int)
    method = cv2.INTER_AREA if longest < sides.max() else cv2.INTER_CUBIC
    return cv2.resize(image, (int(size[0]), int(size[1])), interpolation=method)


def canvas(image: Image, width: int = WIDTH) -> Image:
    """A copy of the image at drawing width, or of that height where it is tall: see :func:`fitted`."""
    return fitted(image, width)


def stroke(image: Image) -> float:
    """What a thickness or a size of text of one pixel at drawing width comes to in a picture, in its pixels."""
    return max(image.shape[:2]) / WIDTH


def heat_over(
    image: Image,
    values: np.ndarray,
    colours: str = "viridis",
    top: float | None = None,
    cut: float = 0.0,
    cells: bool = False,
) -> Image:
    """A heat map over the darkened picture: the higher the value, the more opaque.

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
    """The picture in dark grey, as the ground of heat maps."""
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


def fixed(line: Line) -> np.ndarray:
    """A line in OpenCV's drawing coordinates."""
    return np.round(line * 2**SHIFT).astype(np.int32).reshape(-1, 1, 2)


def draw_lines(picture: Image, lines: Sequence[Line], colour: Colour, thickness: float) -> None:
    """Anti-aliased lines with a dark rim, drawn into ``picture``."""
    points = [fixed(line) for line in lines]
    for tone, width in ((DARK, thickness + 3), (colour, thickness)):
        cv2.polylines(picture, points, False, tone, max(1, round(width)), cv2.LINE_AA, SHIFT)


def banded(image: Image, lines: Sequence[Line], colour: Colour, thickness: float) -> Image:
    """A copy of the picture with broad translucent lines."""
    painted = image.copy()
    cv2.polylines(painted, [fixed(p) for p in lines], False, colour, max(1, round(thickness)), cv2.LINE_AA, SHIFT)
    return cv2.addWeighted(painted, 0.62, image, 0.38, 0)


def draw_dots(picture: Image, line: Line, colour: Colour, radius: float) -> None:
    """Dots every few radii along a line, drawn into ``picture``."""
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    for at in np.arange(0, steps[-1] + 1e-6, 4.5 * radius):
        place = np.array([np.interp(at, steps, line[:, 0]), np.interp(at, steps, line[:, 1])])
        centre = tuple(int(v) for v in np.round(place * 2**SHIFT))
        for tone, size in ((DARK, radius + 1.5), (colour, radius)):
            cv2.circle(picture, centre, round(size * 2**SHIFT), tone, -1, cv2.LINE_AA, SHIFT)


@lru_cache(maxsize=8)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font of text of so many pixels."""
    return ImageFont.load_default(max(size, 8))  # type: ignore[return-value]


def dashes(line: Line, dash: float, gap: float) -> Iterator[Line]:
    """Pieces of a polyline ``dash`` long and ``gap`` apart along it; the last is as long as the line allows."""
    if len(line) < 2:
        return
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    for start in np.arange(0.0, along[-1], dash + gap):
        end = min(start + dash, along[-1])
        at = np.r_[start, along[(along > start) & (along < end)], end]
        yield np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], 1)


def write_names(image: Image, names: Iterable[tuple[float, float, str]], size: float = 22.0) -> Image:
    """Texts around places x, y, each on a dark label, on a copy of the picture.

    Args:
        size: of the text, in pixels at the drawing width.
    """
    pen, unit = Pillow.fromarray(image), stroke(image)
    draw, font, pad = ImageDraw.Draw(pen, "RGBA"), font_of(round(size * unit)), size * unit * 6 / 22
    for x, y, text in names:
        left, top, right, bottom = draw.textbbox((x, y), text, font=font, anchor="mm")
        box = (left - pad * 1.4, top - pad, right + pad * 1.4, bottom + pad)
        draw.rounded_rectangle(box, radius=pad, fill=(*DARK, 205))
        draw.text((x, y), text, font=font, anchor="mm", fill=(255, 255, 255, 255))
    return np.asarray(pen)
