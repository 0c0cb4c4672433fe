"""Static pictures of a bench: a table, and the noise of every head while a run is tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sfcore.bench.table import Table
from sfcore.bench.timeline import Timeline
from sfcore.colours import OBJECTS
from sfcore.present.pictures import figure_of, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE, LETTER = 0.26, 0.088  # inches that a row of text is high, and that a letter is wide
BETWEEN = 0.3  # inches between columns
RULE = "#8A93A3"
SELECTED, UNSELECTED = 3.2, 1.0  # widths of lines


def save_table_picture(path: Path, table: Table) -> None:
    """Draw a table as PNG: the best values bold, a rule where the first column changes.

    Raises:
        InputError: it cannot be written.
    """
    from matplotlib.figure import Figure  # slow to import, and only these functions need it

    texts = [table.header, *([entry.text for entry in row] for row in table.body)]
    widths = [LETTER * max(len(row[column]) for row in texts) + BETWEEN for column in range(len(table.header))]
    width, height = max(sum(widths), LETTER * len(table.title)), LINE * (len(texts) + 1.5)
    figure = Figure(figsize=(width + BETWEEN, height), dpi=144)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width + BETWEEN), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(BETWEEN / 2, 0.6 * LINE, table.title, weight="bold", size=10, va="center")
    _draw_line(axes, table.header, [False] * len(widths), widths, 1.8 * LINE)
    before = ""
    for place, row in enumerate(table.body):
        top = LINE * (2.3 + place)
        if row[0].text != before:
            axes.hlines(top, BETWEEN / 2, sum(widths), color=RULE, lw=0.8)
        shown = ["" if row[0].text == before else row[0].text, *(entry.text for entry in row[1:])]
        _draw_line(axes, shown, [entry.bold for entry in row], widths, top + LINE / 2)
        before = row[0].text
    save_figure(path, figure)


def _draw_line(axes: Axes, texts: Sequence[str], bold: Sequence[bool], widths: Sequence[float], y: float) -> None:
    x = BETWEEN / 2
    for text, strong, width in zip(texts, bold, widths, strict=True):
        axes.text(x, y, text, weight="bold" if strong else "normal", size=9, va="center")
        x += width


def save_timeline_picture(path: Path, title: str, timelines: Mapping[str, Timeline]) -> None:
    """Draw each head's noise level over the iterations as PNG, thick while it is selected; one panel a detector.

    Raises:
        InputError: it cannot be written.
    """
    figure, panels = figure_of(list(timelines), alike=False)
    for axes, one in zip(panels, timelines.values(), strict=True):
        _draw_timeline(axes, one)
    figure.suptitle(f"{title} (thick: selected)", fontsize="medium")
    figure.supxlabel("iteration", fontsize="medium")
    figure.supylabel("noise level (RMS error of the head / RMS of the head)", fontsize="medium")
    save_figure(path, figure)


def _draw_timeline(axes: Axes, one: Timeline) -> None:
    for place, (head, levels) in enumerate(one.noise.items()):
        colour = OBJECTS[place % len(OBJECTS)]
        # Each piece of the line ends where its stretch does, and begins where the one before it ended.
        for end in range(1, len(levels)):
            width = SELECTED if one.selected[head][end] >= 0.5 else UNSELECTED
            axes.plot(one.iterations[end - 1 : end + 1], levels[end - 1 : end + 1], color=colour, lw=width)
        axes.plot([], [], color=colour, lw=2, label=head)
    axes.set_yscale("log")
    axes.grid(alpha=0.3, which="both", lw=0.5)
    axes.legend(fontsize="small")
