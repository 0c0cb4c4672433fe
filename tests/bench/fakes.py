"""Cells that take no time, carried out by the fake worker of the runs' tests; a script to be killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sfcore.bench.cell import VERDICTS
from sfcore.bench.grid import carry_out_all
from sfcore.bench.plan import Cell, Plan, Variant
from sfcore.bench.sources import Source, unseen
from sfcore.errors import InputError
from sfcore.files import write_json
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, create_or_resume
from sfcore.runs.folder import Status
from sfcore.runs.protocol import Report, Session
from sfcore.runs.worker import work
from tests.runs import fake_worker

IMAGE = str(sample_data() / "scenes" / "00-curve.jpg")
SOURCES = (Source("unseen", (IMAGE,)),)


def plan(*methods: str, **changes: object) -> Plan:
    """A bench of one tiny detector on one picture."""
    given = {
        "detectors": ("lstr-tiny",),
        "schemes": ("W4A4",),
        "variants": tuple(map(Variant.parse, methods)),
        "seeds": (0,),
        "images": (IMAGE,),
    }
    return Plan(**{**given, **changes})


def carry(cell: Cell, curves_from: Path | None, sources: tuple[Source, ...]) -> Status:
    """Fails at W2A2, dies at W3A3, is stopped at W5A5; measures curves where it is given none."""
    return _carry(cell, curves_from, sources, fake_worker.assemble)


def carry_slowly(cell: Cell, curves_from: Path | None, sources: tuple[Source, ...]) -> Status:
    """The same, in twelve seconds: long enough to be ended meanwhile on a busy machine."""
    return _carry(cell, curves_from, sources, lambda folder, report: fake_worker.WalkSession(0.3))


def _carry(cell: Cell, curves_from: Path | None, sources: tuple[Source, ...], assemble: object) -> Status:
    def fated(folder: RunFolder, report: Report) -> Session:
        if cell.spec.scheme == "W2A2":
            raise InputError("two bits are too few")
        if cell.spec.scheme == "W3A3":
            os._exit(9)
        if cell.spec.scheme == "W5A5":
            folder.request_stop()
        if cell.curves:
            (folder.path / "curves.json").write_text(str(curves_from or "measured"))
        return assemble(folder, report)  # type: ignore[operator]

    status = work(create_or_resume(cell.path, cell.spec), assemble=fated)
    if status == "done":
        judged = {"image_hash": unseen(SOURCES[0]).hash, "images": 1, "f1": 1.0, "distortion": 0.0, "shift_px": 0.0}
        write_json(cell.path / VERDICTS, {source.name: judged for source in sources})
    return status


if __name__ == "__main__":
    carry_out_all(plan("netwise").cells(Path(sys.argv[1])), SOURCES, carry=carry_slowly)
