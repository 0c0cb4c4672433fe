"""Static pictures: contact sheets, noise-score curves, layers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from sfcore.colours import OBJECTS
from sfcore.drawing import Image, fitted, png
from sfcore.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sfcore.quant.layer_sensitivity import LayerSensitivity
    from sfcore.sensitivity.curves import Curves
    from sfcore.tasks.base import Task

PANELS = 4  # side by side


def save_png(path: Path, image: Image) -> None:
    """Write an image as PNG, atomically. Raises InputError: it cannot be written."""
    write_atomic(path, png(image))


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
    figure.supylabel(f"{next(iter(curves.values())).score} (mean, 5–95 % band)", fontsize="medium")
    save_figure(path, figure)


def _draw_curves(axes: Axes, curves: Curves) -> None:
    for index, (head, curve) in enumerate(curves.curves.items()):
        colour = OBJECTS[index % len(OBJECTS)]
        axes.fill_between(curve.noise, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
        axes.plot(curve.noise, curve.score, "o-", color=colour, label=head, ms=4)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.1)  # linear near 0, because many scores are exactly 0
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both", lw=0.5)
    axes.legend(title="noise on head", fontsize="small", title_fontsize="small")


def save_layers_picture(
    path: Path, task: Task[Any], found: Sequence[LayerSensitivity], title: str, most: int = 16
) -> None:
    """Draw the worst layers as bars of the parts of their distortion, the worst on top, as PNG.

    Raises:
        InputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    worst = list(found[:most])[::-1]
    figure = Figure(figsize=(9, 0.32 * len(worst) + 1.4), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(worst))
    for part in task.parts:
        values = np.array([one.parts[part.name] for one in worst])
        axes.barh(range(len(worst)), values, left=left, color=part.colour, label=part.name)
        left += values
    axes.set_yticks(range(len(worst)), [f"{one.layer} · {one.part} ({one.bits} bits)" for one in worst], fontsize=8)
    axes.set_xlabel(f"{task.words.score} per image when this alone is quantized")
    axes.set_title(title)
    axes.legend()
    save_figure(path, figure)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a Matplotlib figure as PNG, atomically. Raises InputError: it cannot be written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())
