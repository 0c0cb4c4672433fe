"""Rows of several benches as one report, with a picture for each thing that they tell.

    python -m benchmarks.results docs/results/tiny bench/results.csv former/results.csv --against best lane-focus

Where two files have the same cell, the first one's is taken: benches that were made anew come before the former ones.
How a bench was made is told by the report beside its rows.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result_pictures import REFERENCE, save_against, save_agreement, save_relative
from sfcore.bench.report import all_tables
from sfcore.bench.rows import Row, as_csv, read_csv
from sfcore.files import write_atomic

MADE = "## How they were made\n"  # the heading of a bench's report


def joined(benches: Sequence[Sequence[Row]]) -> list[Row]:
    """All rows, of each cell and test the first that is met; methods in the order of the last bench."""
    found: dict[tuple[str, str, str, int, str], Row] = {}
    for row in (row for rows in benches for row in rows):
        found.setdefault((row.detector, row.bits, row.method, row.seed, row.test), row)
    methods = list(dict.fromkeys(row.method for rows in benches[::-1] for row in rows))
    tests = list(dict.fromkeys(row.test for row in found.values()))
    return sorted(
        found.values(), key=lambda r: (r.detector, r.bits, methods.index(r.method), r.seed, tests.index(r.test))
    )


def how_made(file: Path) -> str:
    """What the report beside a bench's rows says of how they were made; joined rows have several such sections."""
    sections = (file.parent / "report.md").read_text("utf-8").split(MADE)[1:]
    return "\n".join(section.partition("\n## ")[0].strip() + "\n" for section in sections)


def draw(out: Path, rows: Sequence[Row], against: Sequence[tuple[str, str]]) -> None:
    """Every picture that a test has the rows for."""
    for test in dict.fromkeys(row.test for row in rows):
        here = [row for row in rows if row.test == test]
        if len({row.detector for row in here}) == 1:
            save_agreement(out / f"agreement-{_name(test)}.png", here)
        else:
            for bits in dict.fromkeys(row.bits for row in here):
                _draw_scheme(out, [row for row in here if row.bits == bits], against)


def _draw_scheme(out: Path, rows: Sequence[Row], against: Sequence[tuple[str, str]]) -> None:
    methods, name = {row.method for row in rows}, f"{_name(rows[0].bits)}-{_name(rows[0].test)}.png"
    if REFERENCE in methods:
        save_relative(out / f"relative-{name}", rows)
    for method, other in against:
        if {method, other} <= methods:
            save_against(out / f"{method}-{other}-{name}", rows, method, other)


def _name(text: str) -> str:
    return re.sub(r"\W+", "-", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="results.csv of benches")
    parser.add_argument("--against", nargs=2, action="append", default=[], metavar=("METHOD", "OTHER"))
    given = parser.parse_args()
    rows = joined([read_csv(file) for file in given.files])
    found = all_tables(rows)
    made = "\n".join(f"{MADE}\n{how_made(file)}" for file in given.files)
    text = "\n".join(f"## {one.title}\n\n{one.markdown()}\n[CSV](tables/{one.name}.csv)\n" for one in found)
    (given.out / "tables").mkdir(parents=True, exist_ok=True)
    for one in found:
        write_atomic(given.out / "tables" / f"{one.name}.csv", one.csv())
    draw(given.out, rows, given.against)
    write_atomic(given.out / "results.csv", as_csv(rows))
    write_atomic(given.out / "report.md", f"# Results\n\n{made}\n{text}".encode())


if __name__ == "__main__":
    main()
