"""Static pictures: lanes on an image, noise-score curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from sfcore.detectors.base import Image
from sfcore.files import write_atomic
from sfcore.tasks.lanes import LANE_WIDTH, Polyline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sfcore.quant.layer_sensitivity import LayerSensitivity
    from sfcore.sensitivity.curves import Curves

# Okabe and Ito's colours, told apart by colour-blind people; as red, green, blue.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178))
PART_COLOURS = ((230, 159, 0), (213, 94, 0), (204, 121, 167))  # bend, spike, misalignment, as in the app
PANELS = 4  # side by side
SLIMMEST = 16  # a fitted picture is at most so many times as long as it is broad
_SHIFT = 3  # fractional bits of OpenCV's drawing coordinates


def draw_lanes(image: Image, lanes: Sequence[Polyline]) -> Image:
    """A copy of the image with each lane in a colour of its own.

    Args:
        lanes: x, y in the image's pixels.
    """
    picture = image.copy()
    width = max(2, round(0.4 * LANE_WIDTH * image.shape[1]))
    for index, line in enumerate(lanes):
        points = np.round(np.asarray(line) * 2**_SHIFT).astype(np.int32).reshape(-1, 1, 2)
        for colour, stroke in (((0, 0, 0), width + 2), (COLOURS[index % len(COLOURS)], width)):
            cv2.polylines(picture, [points], False, colour, stroke, cv2.LINE_AA, _SHIFT)
    return picture


def fitted(image: Image, longest: int) -> Image:
    """A copy of the image, scaled so that its longer side has ``longest`` pixels, whatever its shape.

    It keeps its aspect, but for slivers: those are broadened to 1 / SLIMMEST of their length, so that what is drawn
    on them is seen. Places in shares of the image stay what they are.
    """
    sides = np.array(image.shape[1::-1])
    size = np.maximum(np.round(sides * longest / sides.max()), -(-longest // SLIMMEST)).astype(int)
    method = cv2.INTER_AREA if longest < sides.max() else cv2.INTER_CUBIC
    return cv2.resize(image, (int(size[0]), int(size[1])), interpolation=method)


def save_png(path: Path, image: Image) -> None:
    """Write an image as PNG, atomically. Raises InputError: it cannot be written."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_atomic(path, encoded.tobytes())


def contact_sheet(images: Sequence[Image], columns: int, width: int = 320) -> Image:
    """Images of one shape as small pictures side by side, row by row, each in a square of ``width`` pixels."""
    small = [fitted(image, width) for image in images]
    small += [np.full_like(small[0], 255)] * (-len(small) % columns)
    framed = [cv2.copyMakeBorder(s, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for s in small]
    rows = [np.concatenate(framed[start : start + columns], 1) for start in range(0, len(framed), columns)]
    return np.concatenate(rows, 0)


def figure_of(titles: Sequence[str], alike: bool) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each title, at most PANELS side by side.

    Args:
        alike: whether the panels share their axes.
    """
    from matplotlib.figure import Figure  # slow to import, and only these functions need it

    columns = min(len(titles), PANELS)
    rows = -(-len(titles) // columns)
    size = (8, 5) if len(titles) == 1 else (4.2 * columns, 3.6 * rows + 0.4)
    figure = Figure(figsize=size, dpi=144, layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=alike, sharey=alike, squeeze=False).flat)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    return figure, panels[: len(titles)]


def save_curves_picture(path: Path, curves: Mapping[str, Curves]) -> None:
    """Draw the noise-score curves of all heads with their 5-95 % bands as PNG, one panel for each detector.

    Args:
        curves: by the title of their panel.

    Raises:
        InputError: it cannot be written.
    """
    figure, panels = figure_of(list(curves), alike=True)
    for axes, one in zip(panels, curves.values(), strict=True):
        _draw_curves(axes, one)
    figure.supxlabel("noise level (RMS error of the head / RMS of the head)", fontsize="medium")
    figure.supylabel("Lane Distortion Score (mean, 5–95 % band)", fontsize="medium")
    save_figure(path, figure)


def _draw_curves(axes: Axes, curves: Curves) -> None:
    for index, (head, curve) in enumerate(curves.curves.items()):
        colour = tuple(value / 255 for value in COLOURS[index % len(COLOURS)])
        axes.fill_between(curve.noise, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
        axes.plot(curve.noise, curve.score, "o-", color=colour, label=head, ms=4)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.1)  # linear near 0, because many scores are exactly 0
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both", lw=0.5)
    axes.legend(title="noise on head", fontsize="small", title_fontsize="small")


def save_layers_picture(path: Path, found: Sequence[LayerSensitivity], title: str, most: int = 16) -> None:
    """Draw the worst layers as bars of bend, spike and misalignment, the worst on top, as PNG.

    Raises:
        InputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    worst = list(found[:most])[::-1]
    figure = Figure(figsize=(9, 0.32 * len(worst) + 1.4), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(worst))
    for part, colour in zip(("bend", "spike", "misalignment"), PART_COLOURS, strict=True):
        values = np.array([getattr(one, part) for one in worst])
        axes.barh(range(len(worst)), values, left=left, color=tuple(v / 255 for v in colour), label=part)
        left += values
    axes.set_yticks(range(len(worst)), [f"{one.layer} · {one.part} ({one.bits} bits)" for one in worst], fontsize=8)
    axes.set_xlabel("Lane Distortion Score per image when this alone is quantized")
    axes.set_title(title)
    axes.legend()
    save_figure(path, figure)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a Matplotlib figure as PNG, atomically. Raises InputError: it cannot be written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())
