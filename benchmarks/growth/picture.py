"""The rows of growth as curves: a panel for each quantity that grows, or two where time and memory have one each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def _evaluations(axes: Axes, rows: Sequence[Row], y: str, named: bool) -> None:
    """A colour for each thing that was done in a layout; where all had been filed before, its line is broken."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row.get('detector', 'files alone')}, {row['layout']}", []).append(row)
    for place, (name, own) in enumerate(groups.items()):
        again = [row | row["again"] for row in own if "again" in row]
        for line, drawn, label in (("o-", own, name), ("o--", again, f"{name}, filed before")):
            if drawn:
                axes.plot(
                    *_sorted(drawn, "images", y),
                    line,
                    color=OBJECTS[place % len(OBJECTS)],
                    ms=4,
                    label=label if named else None,
                )
    axes.set(xscale="log", xlabel="images")


def _time(axes: Axes, rows: Sequence[Row]) -> None:
    _evaluations(axes, rows, "processor", named=True)
    axes.set(yscale="log", title="evaluation: processor seconds")


def _memory(axes: Axes, rows: Sequence[Row]) -> None:
    _evaluations(axes, rows, "peak_mb", named=False)
    axes.set(title="evaluation: peak memory, MB")


def _heads(axes: Axes, rows: Sequence[Row]) -> None:
    most = max((row["images"] for row in rows), default=0)
    for place, row in enumerate(row for row in rows if row["images"] == most):
        each = sorted((head["elements"], head["processor"]) for head in row["heads"].values())
        axes.plot(*zip(*each, strict=True), "o", color=OBJECTS[place % len(OBJECTS)], ms=5, label=row["detector"])
    axes.set(xscale="log", yscale="log", title="curve of a head: processor seconds")
    axes.set_xlabel(f"elements of the head ({most} images)")


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
    axes.set(
        title="times as fast as one worker, 2 cores", xlabel="workers", xticks=sorted({row["workers"] for row in rows})
    )


def _sorted(rows: Sequence[Row], x: str, y: str) -> tuple[list[float], list[float]]:
    found = sorted((row[x], row[y]) for row in rows)
    return [each for each, _ in found], [each for _, each in found]


DRAWINGS: tuple[tuple[str, Callable[[Axes, Sequence[Row]], None]], ...] = (
    ("images", _time), ("images", _memory), ("heads", _heads),
    ("visitors", _answers), ("visitors", _server), ("workers", _workers),
)  # fmt: skip
