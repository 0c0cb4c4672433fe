"""What a bench tells, at a glance: all methods beside one, and two methods cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sfcore.bench.rows import Row
from sfcore.bench.table import DISTORTION, F1, gather
from sfcore.present.pictures import figure_of, save_figure

REFERENCE = "OMSE"  # what calibration alone leaves, beside which the others are put
Moves = Mapping[tuple[str, str], float]  # distortion that the order of sums moves, of a detector in a scheme
WORSE, EVEN, BETTER = "#C4572E", "#F4F4F2", "#1F6F8B"


def save_relative(path: Path, rows: Sequence[Row]) -> None:
    """Distortion of every method on every detector as a share of calibration's; the numbers are the distortions.

    Args:
        rows: of one scheme and test, REFERENCE among them.
    """
    from matplotlib.colors import LinearSegmentedColormap, LogNorm
    from matplotlib.figure import Figure

    grid = {method: line for (_, method), line in gather(rows, DISTORTION).items()}
    methods, detectors = list(grid), list(dict.fromkeys(row.detector for row in rows))
    means = np.array([[value.mean if (value := grid[m][d]) else np.nan for d in detectors] for m in methods])
    shares = means / means[methods.index(REFERENCE)]
    figure = Figure(figsize=(1.05 * len(detectors) + 1.8, 0.34 * len(methods) + 0.9), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("shares", [BETTER, EVEN, WORSE])
    drawn = axes.imshow(shares, colours, norm=LogNorm(0.5, 2, clip=True), aspect="auto")
    axes.set_xticks(range(len(detectors)), [d.removesuffix("-tiny") for d in detectors], fontsize=8)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    for row, column in np.ndindex(*means.shape):
        first = means[row, column] == np.nanmin(means[:, column])
        strong = abs(np.log2(shares[row, column])) > 0.6
        axes.text(
            column, row, f"{means[row, column]:.1f}", ha="center", va="center", fontsize=8,
            weight="bold" if first else "normal", color="white" if strong else "black",
        )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, ticks=[0.5, 1, 2], format="%g ×", pad=0.01)
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=8)
    bar.set_label(f"distortion beside {REFERENCE}", fontsize=8)
    save_figure(path, figure)


def save_against(path: Path, rows: Sequence[Row], method: str, other: str, moves: Moves) -> None:
    """Distortion of a method less that of another with the same seed, detector by detector: a dot for each seed.

    Args:
        rows: of one scheme and test.
        moves: what the order of sums alone does to the distortion of a detector in a scheme: a grey bar.
    """
    from matplotlib.figure import Figure

    detectors = list(dict.fromkeys(row.detector for row in rows))
    of = {(row.detector, row.method, row.seed): row.distortion for row in rows}
    figure = Figure(figsize=(7, 0.36 * len(detectors) + 1), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    for place, detector in enumerate(detectors):
        seeds = sorted({row.seed for row in rows if row.detector == detector})
        pairs = [(of.get((detector, method, s)), of.get((detector, other, s))) for s in seeds]
        found = [one - two for one, two in pairs if one is not None and two is not None]
        moved = moves.get((detector, rows[0].bits), 0.0)
        axes.barh(place, 2 * moved, left=-moved, height=0.6, color="lightgrey")
        axes.plot(found, [place] * len(found), "o", color=BETTER, alpha=0.6, ms=5)
        if found:
            axes.plot([np.mean(found)] * 2, [place - 0.3, place + 0.3], color="black", lw=2)
    axes.axvline(0, color="grey", lw=0.8)
    axes.set_yticks(range(len(detectors)), [d.removesuffix("-tiny") for d in detectors], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"distortion of {method} less that of {other}; left of 0 it bends lanes less", fontsize=8)
    save_figure(path, figure)


def save_agreement(path: Path, rows: Sequence[Row]) -> None:
    """F1 of every method on one detector, a panel for each scheme: a bar for the mean and a dot for each seed.

    Args:
        rows: of one detector and test.
    """
    grid = gather(rows, F1)
    schemes = list(dict.fromkeys(bits for bits, _ in grid))
    methods = list(dict.fromkeys(method for _, method in grid))
    figure, panels = figure_of(schemes, alike=True)
    for axes, bits in zip(panels, schemes, strict=True):
        for place, method in enumerate(methods):
            seeds = [row.f1 for row in rows if (row.bits, row.method) == (bits, method) and row.f1 is not None]
            if seeds:
                axes.barh(place, np.mean(seeds), color=BETTER, alpha=0.45)
                axes.plot(seeds, [place] * len(seeds), "o", color=BETTER, ms=4)
        axes.set_yticks(range(len(methods)), methods, fontsize=8)
    panels[0].invert_yaxis()  # of all panels, which share their axes
    panels[0].set_xlim(0, 1)
    figure.supxlabel(f"F1 of agreement with full precision, {rows[0].test}", fontsize="small")
    save_figure(path, figure)
