"""The rows of peers as bars: the distortion that each leaves, in the engine where it leaves least."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import Row
from sfcore.present.pictures import figure_of, save_figure

OURS, THEIRS = "#1F6F8B", "#A9B0BA"
UNQUANTIZED = "full-precision"


def save_bars(path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """A panel for each detector, F1 beside each bar; entries without rounding, or that do not run, are left out."""
    figure, panels = figure_of(names, alike=False)
    figure.set_size_inches(4.6 * min(len(names), 4), figure.get_size_inches()[1])
    for axes, name in zip(panels, names, strict=True):
        own = [row for row in rows if row["detector"] == name and row["peer"] != UNQUANTIZED]
        found = {peer: best for peer in dict.fromkeys(row["peer"] for row in own) if (best := least(own, peer))}
        peers = sorted(found, key=lambda peer: -found[peer][0])
        bars = axes.barh(
            peers, [found[peer][0] for peer in peers], color=[OURS if p.startswith("ours") else THEIRS for p in peers]
        )
        axes.bar_label(bars, [f"F1 {found[peer][1]:.3f}" for peer in peers], padding=3, fontsize=7)
        axes.tick_params(labelsize=7)
        axes.margins(x=0.22)
    figure.supxlabel("distortion of the lanes that the engine puts out", fontsize="small")
    save_figure(path, figure)


def least(rows: Sequence[Row], peer: str) -> tuple[float, float] | None:
    """Distortion and F1, means over seeds, in the engine where a peer distorts least; None where it runs in none."""
    whole = [row for row in rows if row["peer"] == peer and "error" not in row]
    engines = {engine for row in whole for engine, told in row["engines"].items() if "error" not in told}
    found = []
    for engine in engines:
        told = [row["engines"][engine] for row in whole if "error" not in row["engines"].get(engine, {"error": ""})]
        found.append((statistics.fmean(t["distortion"] for t in told), statistics.fmean(t["f1"] for t in told)))
    return min(found, default=None)
