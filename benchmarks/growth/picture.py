"""The rows of growth as curves: a panel for each quantity that grows, or two where time and memory have one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row
from sfcore.colours import OBJECTS
from sfcore.present.pictures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save_growth(path: Path, rows: Sequence[Row]) -> None:
    """Draw what was measured. Raises InputError: it cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), dpi=144, layout="constrained")
    panels = figure.subplots(2, 3).flat
    for axes, (part, draw) in zip(panels, DRAWINGS, strict=True):
        draw(axes, [row for row in rows if row["part"] == part])
        axes.grid(alpha=0.3, which="both", lw=0.5)
        axes.set_ylim(bottom=None if axes.get_yscale() == "log" else 0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="x-small")
    save_figure(path, figure)


def _lines(axes: Axes, x: str, y: str, lines: Iterable[tuple[str, Sequence[Row]]]) -> None:
    for place, (name, rows) in enumerate(lines):
        sorted_rows = sorted(rows, key=lambda row: row[x])
        xs, ys = ([row[key] for row in sorted_rows] for key in (x, y))
        axes.plot(xs, ys, "o-", color=OBJECTS[place % len(OBJECTS)], ms=4, label=name)
    axes.set_xlabel(x)


def _evaluations(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by what was done in which layout; scoring again is a line of its own."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        about = f"{row.get('detector', 'files alone')}, {row['layout']}"
        groups.setdefault(about, []).append(row)
        if "again" in row:
            groups.setdefault(f"{about}, filed before", []).append({**row, **row["again"]})
    return list(groups.items())


def _time(axes: Axes, rows: Sequence[Row]) -> None:
    _lines(axes, "images", "processor", _evaluations(rows))
    axes.set(xscale="log", yscale="log", title="evaluation: processor seconds")


def _memory(axes: Axes, rows: Sequence[Row]) -> None:
    _lines(axes, "images", "peak_mb", _evaluations(rows))
    axes.set(xscale="log", title="evaluation: peak memory, MB")


def _heads(axes: Axes, rows: Sequence[Row]) -> None:
    most = max((row["images"] for row in rows), default=0)
    for place, row in enumerate(row for row in rows if row["images"] == most):
        each = sorted((head["elements"], head["processor"]) for head in row["heads"].values())
        axes.plot(*zip(*each, strict=True), "o", color=OBJECTS[place % len(OBJECTS)], ms=5, label=row["detector"])
    title = f"curve of a head, {most} images: processor seconds"
    axes.set(xscale="log", yscale="log", title=title, xlabel="elements of the head")


def _answers(axes: Axes, rows: Sequence[Row]) -> None:
    for place, (key, name) in enumerate(
        (("median_ms", "median"), ("p95_ms", "95th percentile"), ("processor_ms", "of the processor"))
    ):
        axes.plot(*_sorted(rows, "visitors", key), "o-", color=OBJECTS[place], ms=4, label=name)
    axes.set(title="a slider's step: milliseconds", xlabel="visitors")


def _server(axes: Axes, rows: Sequence[Row]) -> None:
    axes.plot(*_sorted(rows, "visitors", "full_mb"), "o-", color=OBJECTS[0], ms=4, label="with them")
    axes.plot(*_sorted(rows, "visitors", "empty_mb"), "o-", color=OBJECTS[1], ms=4, label="before they came")
    axes.set(title="server: memory, MB", xlabel="visitors")


def _workers(axes: Axes, rows: Sequence[Row]) -> None:
    for place, what in enumerate(dict.fromkeys(row["what"] for row in rows)):
        own = [row for row in rows if row["what"] == what]
        one = next((row["seconds"] for row in own if row["workers"] == 1), None)
        if one:
            xs, ys = _sorted(own, "workers", "seconds")
            axes.plot(xs, [one / y for y in ys], "o-", color=OBJECTS[place], ms=4, label=what)
    axes.set(title="times as fast as one worker", xlabel="workers")


def _sorted(rows: Sequence[Row], x: str, y: str) -> tuple[list[float], list[float]]:
    found = sorted((row[x], row[y]) for row in rows)
    return [each for each, _ in found], [each for _, each in found]


DRAWINGS: tuple[tuple[str, Callable[[Axes, Sequence[Row]], None]], ...] = (
    ("images", _time), ("images", _memory), ("heads", _heads),
    ("visitors", _answers), ("visitors", _server), ("workers", _workers),
)  # fmt: skip
