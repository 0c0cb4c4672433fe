"""The tables of the paper, as pure functions of rows; a value is the mean over seeds ± their sample deviation."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sfcore.bench.plan import SWEPT
from sfcore.bench.rows import REFERENCE, Row
from sfcore.quant.budget import is_budget
from sfcore.quant.scheme import Scheme

NONE = "–"
FULL = "full precision"
# The rows of table 2: whether they have Focus and Selection.
ABLATION = {
    "netwise": (False, False),
    "selection-only": (False, True),
    "focus-only": (True, False),
    SWEPT: (True, True),
}


class Entry(NamedTuple):
    """What stands in one place of a table; the best of its kind are bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        name: of its files.
        title: one line above it.
        header: the names of its columns.
        body: row by row.
    """

    name: str
    title: str
    header: tuple[str, ...]
    body: tuple[tuple[Entry, ...], ...]

    def markdown(self) -> str:
        """As GitHub shows it, without the title."""
        lines = [self.header, ["---"] * len(self.header)]
        lines += [[f"**{e.text}**" if e.bold else e.text for e in row] for row in self.body]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def csv(self) -> bytes:
        """The same texts, nothing bold."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.header, *([entry.text for entry in row] for row in self.body)])
        return text.getvalue().encode()


@dataclass(frozen=True)
class Measure:
    """What a table shows of a row.

    Attributes:
        name: short, for files.
        title: for people.
        of: the value; None where it is unknown.
        digits: after the point.
        best: which of two values is better.
        full: the value of full precision itself; None where it has none.
    """

    name: str
    title: str
    of: Callable[[Row], float | None]
    digits: int
    best: Literal["high", "low"]
    full: Callable[[Row], float | None] = lambda row: None


F1 = Measure("f1", "F1 of agreement with full precision, IoU 0.5", lambda r: r.f1, 3, "high", lambda r: 1.0)
DISTORTION = Measure("distortion", "Distortion score per image", lambda r: r.distortion, 2, "low", lambda r: 0.0)
LABELS = Measure("labels", "official metric against labels", lambda r: r.labels, 3, "high", lambda r: r.full_labels)
SECONDS = Measure("seconds", "seconds of calibration, curves and tuning", lambda r: r.seconds, 0, "low")
REACHED = Measure(
    "reached", f"seconds of curves and tuning until as good as {REFERENCE}", lambda r: r.reference_seconds, 0, "low"
)


COSTS = (
    Measure("weights", "bits of a weight", lambda r: r.average_weight_bits, 2, "low"),
    Measure("activations", "bits of an activation", lambda r: r.average_activation_bits, 2, "low"),
    Measure("operations", "bit operations, G", lambda r: None if r.bops is None else r.bops / 1e9, 2, "low"),
)


class Spread(NamedTuple):
    """Mean and sample deviation over seeds; a single value has no deviation."""

    mean: float
    deviation: float | None

    def text(self, digits: int) -> str:
        mean = f"{self.mean:.{digits}f}"
        return mean if self.deviation is None else f"{mean} ± {self.deviation:.{digits}f}"


def spread(values: Sequence[float | None]) -> Spread | None:
    """Over what is known of the values; None where nothing is."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


Grid = dict[tuple[str, str], dict[str, Spread | None]]  # bits and method, then detector


def gather(rows: Sequence[Row], measure: Measure) -> Grid:
    """Every method's values by bits and detector, over the seeds; rows that are there for their k are left out."""
    rows = [row for row in rows if not row.swept]
    grid: Grid = {}
    for bits, method in dict.fromkeys((bits, row.method) for bits in _names(rows, "bits") for row in rows):
        here = [row for row in rows if (row.bits, row.method) == (bits, method)]
        if here:
            grid[bits, method] = {
                detector: spread([measure.of(row) for row in here if row.detector == detector])
                for detector in _names(rows, "detector")
            }
    return grid


def best_of(grid: Mapping[tuple[str, str], Mapping[str, Spread | None]], measure: Measure) -> set[tuple[str, str, str]]:
    """Bits, method and detector of the best values among the methods; those that print the same are equally good."""
    found = set()
    for bits, detector in dict.fromkeys((bits, detector) for (bits, _), line in grid.items() for detector in line):
        means = {
            method: round(value.mean, measure.digits)
            for (other, method), line in grid.items()
            if other == bits and (value := line[detector])
        }
        if means:
            top = max(means.values()) if measure.best == "high" else min(means.values())
            found |= {(bits, method, detector) for method, mean in means.items() if mean == top}
    return found


def costs(rows: Sequence[Row], name: str, title: str) -> Table:
    """What each scheme makes of each detector: average bits, and bit operations for an image. Methods have no part in
    it."""
    detectors, body = _names(rows, "detector"), []
    for bits in _names(rows, "bits"):
        for measure in COSTS:
            known = {row.detector: value for row in rows if row.bits == bits and (value := measure.of(row)) is not None}
            values = [Entry(f"{known[d]:.{measure.digits}f}" if d in known else NONE) for d in detectors]
            body.append((_bits(bits), Entry(measure.title), *values))
    return Table(name, title, ("bits", "average or sum", *detectors), tuple(body))


def comparison(rows: Sequence[Row], measure: Measure, name: str, title: str) -> Table:
    """Table 1: bits × methods against detectors, full precision on top, and in how many detectors each is first."""
    grid = gather(rows, measure)
    best, detectors = best_of(grid, measure), _names(rows, "detector")
    body = []
    full = {d: spread([measure.full(row) for row in rows if row.detector == d]) for d in detectors}
    if any(full.values()):
        # Every seed has the same full precision: there is nothing to deviate.
        means = [Entry(f"{value.mean:.{measure.digits}f}" if (value := full[d]) else NONE) for d in detectors]
        body.append((Entry(NONE), Entry(FULL), *means, Entry(NONE)))
    for (bits, method), line in grid.items():
        values = [_entry(line[d], measure, (bits, method, d) in best) for d in detectors]
        body.append((_bits(bits), Entry(method), *values, Entry(f"{sum(v.bold for v in values)} of {len(values)}")))
    return Table(name, title, ("bits", "method", *detectors, "first in"), tuple(body))


def ablation(rows: Sequence[Row], measure: Measure, name: str, title: str) -> Table:
    """Table 2: net-wise reconstruction with and without Focus and Selection, and the mean seconds of each."""
    rows = [row for row in rows if row.method in ABLATION]
    grid = gather(rows, measure)
    best, detectors = best_of(grid, measure), _names(rows, "detector")
    body = []
    for bits, method in sorted(
        grid, key=lambda key: (_names(rows, "bits").index(key[0]), list(ABLATION).index(key[1]))
    ):
        marks = [Entry("yes" if has else "no") for has in ABLATION[method]]
        values = [_entry(grid[bits, method][d], measure, (bits, method, d) in best) for d in detectors]
        took = spread([row.seconds for row in rows if (row.bits, row.method) == (bits, method)])
        body.append((_bits(bits), *marks, *values, Entry(f"{took.mean:.0f}" if took else NONE)))
    return Table(name, title, ("bits", "Focus", "Selection", *detectors, "mean seconds"), tuple(body))


def efficiency(rows: Sequence[Row], measure: Measure, name: str, title: str) -> Table:
    """Table 3: what every tuned model is worth and what it took, and its time as a share of REFERENCE's."""
    rows = [row for row in rows if row.iterations]
    quality, times = gather(rows, measure), gather(rows, SECONDS)
    best, detectors = best_of(quality, measure), _names(rows, "detector")
    body = []
    for bits, method in quality:
        values = []
        for detector in detectors:
            worth, took = quality[bits, method][detector], times[bits, method][detector]
            text = f"{worth.mean:.{measure.digits}f} in {f'{took.mean:.0f}' if took else NONE} s" if worth else NONE
            values.append(Entry(text, (bits, method, detector) in best))
        share = _share(times[bits, method], times.get((bits, REFERENCE), {}))
        body.append((_bits(bits), Entry(method), *values, Entry(NONE if share is None else f"{share:.2f}")))
    return Table(name, title, ("bits", "method", *detectors, f"time / {REFERENCE}'s"), tuple(body))


def reached(rows: Sequence[Row], name: str, title: str) -> Table:
    """How soon each method has the held-back images distorted no more than REFERENCE leaves them at its end."""
    found = comparison([row for row in rows if row.iterations], REACHED, name, title)
    return Table(name, title, found.header[:-1], tuple(row[:-1] for row in found.body))


def over_k(rows: Sequence[Row], measure: Measure, name: str, title: str) -> Table:
    """Table 7: SWEPT by the number of heads that it selects."""
    rows = [row for row in rows if row.k is not None and (row.swept or row.method == SWEPT)]
    detectors, body = _names(rows, "detector"), []
    ks = sorted({row.k for row in rows if row.k is not None})
    grid: Grid = {
        (bits, str(k)): {
            d: spread([measure.of(r) for r in rows if (r.bits, r.k, r.detector) == (bits, k, d)]) for d in detectors
        }
        for bits in _names(rows, "bits")
        for k in ks
    }
    best = best_of(grid, measure)
    for (bits, k), line in grid.items():
        body.append((_bits(bits), Entry(k), *(_entry(line[d], measure, (bits, k, d) in best) for d in detectors)))
    return Table(name, title, ("bits", "k", *detectors), tuple(body))


def _share(times: Mapping[str, Spread | None], reference: Mapping[str, Spread | None]) -> float | None:
    """The geometric mean over detectors of what one takes for each second of the other."""
    pairs = [(took, theirs) for detector, took in times.items() if took and (theirs := reference.get(detector))]
    ratios = [took.mean / theirs.mean for took, theirs in pairs if took.mean > 0 and theirs.mean > 0]
    return statistics.geometric_mean(ratios) if ratios else None


def _bits(bits: str) -> Entry:
    return Entry(bits_name(bits))


def bits_name(bits: str) -> str:
    """A scheme as tables have room for it; a budget as it is."""
    return bits if is_budget(bits) else Scheme.parse(bits).name


def _entry(value: Spread | None, measure: Measure, bold: bool) -> Entry:
    return Entry(value.text(measure.digits), bold) if value else Entry(NONE)


def _names(rows: Sequence[Row], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, field) for row in rows))
