"""What engines make of the exported network, beside the simulation; where they were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.deployment.parity import SIMULATION, Parity
from sfcore.present.figures.deployment import latency, noise_floor
from sfcore.present.report.blocks import Chart, Row, Table
from sfcore.present.report.evidence import Evidence


@dataclass(frozen=True)
class Engines:
    """What engines find.

    Attributes:
        verdicts: a sentence about each.
        agreement: of the simulation and of each engine with full precision; those that break a promise are marked.
        charts: the simulation's own noise, and how long an image takes.
        size: of the file.
    """

    template: ClassVar[str] = "engines.html.j2"
    verdicts: Sequence[str]
    agreement: Table
    charts: Sequence[Chart]
    size: str


def section(evidence: Evidence) -> Engines | None:
    """The first run's last model in the engines that were asked."""
    found = evidence.parity
    if found is None:
        return None
    quantized, full = found.bytes["onnx"], found.bytes["onnx-fp32"]
    return Engines(
        found.verdicts(), _agreement(found),
        [
            Chart("Beside the simulation's own noise", "Distortion in each engine and arithmetic", noise_floor(found)),
            Chart("Milliseconds of an image", "Milliseconds of an image in each engine", latency(found)),
        ],
        f"Times are of the machine that made this report; other hardware differs. The quantized file has "
        f"{quantized / 1e6:.2f} MB, {100 * quantized / full:.0f} % of that in full precision.",
    )  # fmt: skip


def _agreement(found: Parity) -> Table:
    rows: list[Row] = [
        {
            "Against full precision": name,
            "F1": each.f1,
            "Distortion": each.distortion,
            f"Shift ({each.unit})": each.shift,
        }
        for name, each in found.engines.items()
    ]
    names = list(found.engines)
    broken = [
        place for place, name in enumerate(names)
        if name != SIMULATION and not found.keeps(name) and not found.within_noise(name)
    ]  # fmt: skip
    return Table("Engines", rows, marked=broken)
