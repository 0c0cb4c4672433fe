"""The tables and the picture of :mod:`benchmarks.cameras`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from sfcore.present.pictures import figure_of, save_figure

Key = Callable[[Row], Any]


def tables(rows: Sequence[Row]) -> str:
    """Materials by bits, then frames by number of cameras, of each scheme and setting that was measured."""
    of_materials = [row for row in rows if row["number"] is None]
    parts = [table(of_materials, setting, lambda row: row["bits"], "material, frames")] if of_materials else []
    for title, own in grids(rows).items():
        parts.append(f"{title}\n\n" + table(own, lambda row: row["frames"], number_of, "frames"))
    return "\n\n".join(parts)


def grids(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each scheme and way of calibrating in which cameras were counted, with those of all cameras."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["material"] == "cameras" and not row["steps"]:
            found.setdefault(f"{row['bits']}{'' if row['corrected'] else ', biases as they are'}", []).append(row)
    return {title: own for title, own in found.items() if any(row["number"] for row in own)}


def setting(row: Row) -> str:
    """A row's material, and all that differs beside its bits."""
    tuned = f", {row['steps']} steps {row['options']}, state by {row['held']} frames" if row["steps"] else ""
    return f"{row['material']}, {row['frames']}{tuned}{'' if row['corrected'] else ', biases as they are'}"


def number_of(row: Row) -> str:
    """Of how many cameras a row's frames were drawn."""
    return f"{row['number'] or 'all'} camera{'' if row['number'] == 1 else 's'}"


def table(rows: Iterable[Row], down: Key, across: Key, title: str) -> str:
    """Mean F1 over seeds, its deviation where there are several, and the mean distortion in brackets."""
    found: dict[Any, dict[Any, list[Row]]] = {}
    for row in rows:
        found.setdefault(down(row), {}).setdefault(across(row), []).append(row)
    heads = list(dict.fromkeys(head for cells in found.values() for head in cells))
    lines = [f"| {title} | {' | '.join(map(str, heads))} |", "|---" * (len(heads) + 1) + "|"]
    for name in sorted(found) if all(isinstance(name, int) for name in found) else found:
        lines.append(f"| {name} | {' | '.join(_cell(found[name].get(head, [])) for head in heads)} |")
    return "\n".join(lines)


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    values = [row["f1"] for row in rows]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread} ({statistics.fmean(row['distortion'] for row in rows):.1f})"


def save_picture(path: Path, rows: Sequence[Row]) -> None:
    """Draw F1 against frames as PNG, a line for each number of cameras, with the least and the most over seeds.

    Raises:
        InputError: it cannot be written.
    """
    found = grids(rows)
    figure, panels = figure_of(list(found), alike=True)
    for axes, own in zip(panels, found.values(), strict=True):
        for name in dict.fromkeys(map(number_of, sorted(own, key=lambda row: row["number"] or 1_000_000))):
            values: dict[int, list[float]] = {}
            for row in own:
                if number_of(row) == name:
                    values.setdefault(row["frames"], []).append(row["f1"])
            frames = sorted(values)
            axes.plot(frames, [statistics.fmean(values[count]) for count in frames], marker="o", label=name)
            axes.fill_between(
                frames, [min(values[count]) for count in frames], [max(values[count]) for count in frames], alpha=0.15
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted({row["frames"] for row in own}), labels=map(str, sorted({r["frames"] for r in own})))
        axes.set_xlabel("frames that it is calibrated on")
        axes.set_ylabel("F1 on other cameras")
        axes.legend()
    save_figure(path, figure)
