"""A search as one file of HTML that opens anywhere: its pictures, its trials, and the command that made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sfcore.files import write_atomic
from sfcore.present.report.blocks import Chart, Table
from sfcore.present.report.page import Page, render
from sfcore.search import pictures
from sfcore.search.command import command
from sfcore.search.folder import read, trials
from sfcore.search.pictures import usual_pair

FILE = "search.html"


@dataclass(frozen=True)
class Found:
    """What the section's template shows."""

    template: ClassVar[str] = "search.html.j2"
    charts: Sequence[Chart]
    table: Table | None
    command: str


def write_page(path: Path) -> Path:
    """Write the page of a search into its folder; returns its path.

    Raises:
        InputError: the folder holds no search, or cannot be written.
    """
    search, found = read(path), trials(path)
    space = search.written()
    charts = [Chart("Trials", "Each trial's values and its distortion", pictures.parallel(space, found))]
    if pair := usual_pair(space):
        across, up = (pictures.title(name, space.spec.method) for name in pair)
        charts.append(Chart(f"{up} × {across}", "Distortion over two axes", pictures.pairs(space, found, *pair)))
    rows = pictures.table(space, found).astype(object).to_dict("records")
    table = (
        Table("Trials in order", [{str(name): cell for name, cell in row.items()} for row in rows]) if rows else None
    )
    spec = space.spec
    lead = f"{spec.detector} · {spec.full_scheme().name} · {spec.method}: distortion on each trial's held-back images."
    page = Page(f"Search {path.name}", lead, (), [Found(charts, table, command(path, search))])
    write_atomic(path / FILE, render(page).encode())
    return path / FILE
