"""One row for each cell and source of unseen images: what results.csv holds and all tables are made of."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from sfcore.bench.cell import verdicts
from sfcore.bench.plan import SWEPT, Cell, heads_of
from sfcore.bench.sources import Source
from sfcore.clock import forward
from sfcore.datasets.images import content_hash
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.runs import RunFolder
from sfcore.runs.events import CALIBRATING, MEASURING, PREPARATION
from sfcore.runs.results import FILES, recorded_cost

# Events of a run at work; all of them that come after its preparation are tuning.
TUNING = ("progress", "note", "step")
REFERENCE = "qdrop"  # whose quality others are timed to reach

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A tuned model on one source of unseen images.

    Attributes:
        detector, bits, method, seed: of the cell; ``bits`` is its scheme, or the budget that this was allocated for,
            and ``method`` its label.
        test: name of the source.
        images: how many it has.
        f1, distortion, shift_px: agreement with full precision; the shift where it is in pixels.
        metric, labels, full_labels: the labels' official metric, its figure for the model and for full precision.
        calibration_seconds, curve_seconds, tuning_seconds: what it took; None where it was not seen to the end.
            Curves are measured once for several cells, and stand in the row of each.
        reference_seconds: of curves and tuning, until the held-back images were distorted no more than by REFERENCE
            at its end; None where they never were, or other images were held back. Of REFERENCE itself, all it took.
        iterations: steps of tuning.
        k: heads selected; None where none are.
        average_weight_bits, average_activation_bits, bops: as of :class:`sfcore.quant.cost.Cost`; None where the run
            was of a version that wrote nothing of it down.
        model: the first twelve digits of the SHA-256 of the tuned model's file, so that a figure names what it is of;
            empty where the run was of a version that wrote none down.
        sfcore, torch, python: versions.
    """

    detector: str
    bits: str
    method: str
    seed: int
    test: str
    images: int
    f1: float | None
    distortion: float | None
    shift_px: float | None
    metric: str | None = None
    labels: float | None = None
    full_labels: float | None = None
    calibration_seconds: float | None = None
    curve_seconds: float | None = None
    tuning_seconds: float | None = None
    reference_seconds: float | None = None
    iterations: int = 0
    k: int | None = None
    average_weight_bits: float | None = None
    average_activation_bits: float | None = None
    bops: int | None = None
    model: str = ""
    sfcore: str = ""
    torch: str = ""
    python: str = ""

    @property
    def swept(self) -> bool:
        """Whether the row is there for its k alone."""
        return self.method == f"{SWEPT}:k={self.k}"

    @property
    def seconds(self) -> float | None:
        """All that it takes to make the model; None while a part is unknown."""
        parts = (self.calibration_seconds, self.curve_seconds, self.tuning_seconds)
        return None if None in parts else math.fsum(part for part in parts if part is not None)


def collect(cells: Sequence[Cell], sources: Sequence[Source]) -> list[Row]:
    """The rows of all cells that are done and judged, in the order of detectors, bits, methods, seeds and sources."""
    tests = [source.name for source in sources]
    judged = [cell for cell in cells if verdicts(cell.path)]
    events = {cell.path: RunFolder(cell.path).events()[0] for cell in judged}
    measured = {c.curves: took for c in judged if (took := phase_seconds(events[c.path], MEASURING))}
    ends = {_place(cell): _end(cell) for cell in judged if cell.label == REFERENCE}
    rows: list[Row] = []
    for cell in judged:
        found = events[cell.path]
        tuning = tuning_seconds(found)
        curves = measured.get(cell.curves) if cell.curves else 0.0
        reached = tuning if cell.label == REFERENCE else seconds_until(found, ends.get(_place(cell)), curves)
        rows += _rows(
            cell,
            tests,
            calibration_seconds=phase_seconds(found, CALIBRATING),
            curve_seconds=curves,
            tuning_seconds=tuning,
            reference_seconds=reached,
            iterations=sum(event["type"] == "step" for event in found),
        )
    places = [list(dict.fromkeys(_names(row)[level] for row in rows)) for level in range(5)]
    return sorted(rows, key=lambda row: [place.index(name) for place, name in zip(places, _names(row), strict=True)])


def _names(row: Row) -> tuple[Any, ...]:
    return row.detector, row.bits, row.method, row.seed, row.test


def _place(cell: Cell) -> tuple[Any, ...]:
    """Cells that have this in common hold the same images back."""
    return cell.spec.detector, cell.spec.scheme, cell.spec.seed, cell.spec.settings().rendered


def _end(cell: Cell) -> float | None:
    """The distortion that a run left on its held-back images."""
    result = RunFolder(cell.path).record().get("result", {})
    found: float | None = result.get("tuned", {}).get("distortion")
    return found


def _rows(cell: Cell, tests: Sequence[str], **figures: Any) -> list[Row]:
    spec, folder = cell.spec, RunFolder(cell.path)
    versions: dict[str, Any] = dict(folder.record()["versions"])
    recipe, cost = spec.settings(), recorded_cost(folder)
    figures |= asdict(cost) if cost else {}
    if (model := folder.path / f"{FILES['tuned']}.safetensors").is_file():
        figures["model"] = content_hash([model])[:12]
    k = None if recipe.selection == "none" else recipe.heads_to_select(heads_of(spec.detector))
    named = {f.name for f in fields(Row)}
    figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    return [
        Row(
            spec.detector, cell.bits, cell.label, spec.seed, test, k=k, **figures, **versions,
            **{name: value for name, value in asdict(found).items() if name in named},
        )
        for test, found in verdicts(cell.path).items()
        if test in tests
    ]  # fmt: skip


def phase_seconds(events: Sequence[Event], phase: str) -> float | None:
    """What a phase of getting ready took, the last time that it came to its end; None where it never did."""
    took, begun, before = None, 0.0, ("", 0.0)
    for event in forward(events):
        name, now = str(event.get("phase", "")), float(event["time"])
        if name == phase:
            begun = begun if before[0] == phase else before[1]
            took = now - begun if event["done"] == event["total"] and begun else took
        before = name, now
    return took


def tuning_seconds(events: Sequence[Event]) -> float:
    """What the steps and their preparation took, without the pauses of a run that was stopped and resumed."""
    return _clock(events)[-1][0]


def seconds_until(events: Sequence[Event], distortion: float | None, curves: float | None) -> float | None:
    """Seconds of curves and tuning until the held-back images were distorted no more than ``distortion``.

    None where they never were, or where either given value is unknown.
    """
    if distortion is None or curves is None:
        return None
    return next((curves + spent for spent, event in _clock(events) if event.get("best", math.inf) <= distortion), None)


def _clock(events: Sequence[Event]) -> list[tuple[float, Event]]:
    """Each event of the tuning with the seconds up to it; begins with none of either."""
    clock: list[tuple[float, Event]] = [(0.0, {})]
    for before, event in itertools.pairwise(forward(events)):
        if event["type"] in TUNING and event.get("phase") not in PREPARATION:
            clock.append((clock[-1][0] + event["time"] - before["time"], event))
    return clock


def read_csv(file: Path) -> list[Row]:
    """What :func:`as_csv` wrote, of this version or one that knew fewer fields.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    with explained(file, "read"):
        lines = list(csv.DictReader(io.StringIO(file.read_text("utf-8"), newline="")))
    kinds = get_type_hints(Row)
    try:
        return [Row(**{name: _read(kinds[name], text) for name, text in line.items()}) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} has no rows of a bench ({error}): give the results.csv of its folder") from None


def _read(kind: Any, text: str) -> Any:
    """The value of a field from its text; an empty one is unknown where the field can be."""
    optional = type(None) in get_args(kind)
    if optional and not text:
        return None
    return (get_args(kind)[0] if optional else kind)(text)


def as_csv(rows: Sequence[Row]) -> bytes:
    """The rows under the names of their fields; what is unknown is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [f.name for f in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()
