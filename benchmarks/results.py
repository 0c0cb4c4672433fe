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

from benchmarks.result_pictures import REFERENCE, Moves, save_against, save_agreement, save_relative
from sfcore.bench.report import all_tables
from sfcore.bench.rows import Row, as_csv, read_csv
from sfcore.bench.table import DISTORTION, NONE, Entry, Table, bits_name, gather
from sfcore.files import write_atomic
from sfcore.json_lines import JsonLines

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


def moves_of(files: Sequence[Path]) -> Moves:
    """Of each detector and scheme the most that any of its models was moved, from rows of benchmarks.repeatability."""
    found: dict[tuple[str, str], float] = {}
    for row in (row for file in files for row in JsonLines(file).read()[0]):
        place = row["detector"], row["bits"]
        found[place] = max(found.get(place, 0.0), row["moved"]["distortion"])
    return found


def level(rows: Sequence[Row], moves: Moves) -> Table:
    """Which methods the order of sums alone does not part from the first, by distortion.

    Args:
        rows: of one test.
    """
    grid, body = gather(rows, DISTORTION), []
    for detector, bits in (place for place in moves if any(place == (row.detector, row.bits) for row in rows)):
        means = {
            method: mean.mean for (scheme, method), line in grid.items() if scheme == bits and (mean := line[detector])
        }
        first, moved = min(means, key=lambda method: means[method]), moves[detector, bits]
        alike = [method for method in means if method != first and means[method] - means[first] <= moved]
        words = detector, bits_name(bits), f"{moved:.2f}", f"{first} ({means[first]:.2f})", ", ".join(alike) or NONE
        body.append(tuple(map(Entry, words)))
    header = "detector", "bits", "moved by", "first, its distortion", "no further from it than that"
    title = f"Distortion that the order of sums alone moves, and what it does not part; {rows[0].test}"
    return Table("repeatability", title, header, tuple(body))


def draw(out: Path, rows: Sequence[Row], against: Sequence[tuple[str, str]], moves: Moves) -> None:
    """Every picture that a test has the rows for."""
    for test in dict.fromkeys(row.test for row in rows):
        here = [row for row in rows if row.test == test]
        if len({row.detector for row in here}) == 1:
            save_agreement(out / f"agreement-{_name(test)}.png", here)
        else:
            for bits in dict.fromkeys(row.bits for row in here):
                _draw_scheme(out, [row for row in here if row.bits == bits], against, moves)


def _draw_scheme(out: Path, rows: Sequence[Row], against: Sequence[tuple[str, str]], moves: Moves) -> None:
    methods, name = {row.method for row in rows}, f"{_name(rows[0].bits)}-{_name(rows[0].test)}.png"
    if REFERENCE in methods:
        save_relative(out / f"relative-{name}", rows)
    for method, other in against:
        if {method, other} <= methods:
            save_against(out / f"{method}-{other}-{name}", rows, method, other, moves)


def _name(text: str) -> str:
    return re.sub(r"\W+", "-", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="results.csv of benches")
    parser.add_argument("--against", nargs=2, action="append", default=[], metavar=("METHOD", "OTHER"))
    parser.add_argument("--repeatability", type=Path, nargs="+", default=[], metavar="FILE", help="what sums move")
    given = parser.parse_args()
    rows, moves = joined([read_csv(file) for file in given.files]), moves_of(given.repeatability)
    found = all_tables(rows)
    if moves:
        found.append(level([row for row in rows if row.test == rows[0].test], moves))
    made = "\n".join(f"{MADE}\n{how_made(file)}" for file in given.files)
    text = "\n".join(f"## {one.title}\n\n{one.markdown()}\n[CSV](tables/{one.name}.csv)\n" for one in found)
    (given.out / "tables").mkdir(parents=True, exist_ok=True)
    for one in found:
        write_atomic(given.out / "tables" / f"{one.name}.csv", one.csv())
    draw(given.out, rows, given.against, moves)
    write_atomic(given.out / "results.csv", as_csv(rows))
    write_atomic(given.out / "report.md", f"# Results\n\n{made}\n{text}".encode())


if __name__ == "__main__":
    main()
