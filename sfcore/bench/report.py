"""What a bench leaves behind: results as CSV and JSON, every table three times over, and a report that joins them."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sfcore.bench import table as tables
from sfcore.bench import timeline as timelines
from sfcore.bench.pictures import save_table_picture, save_timeline_picture
from sfcore.bench.plan import SWEPT, Cell, Plan
from sfcore.bench.rows import Row, as_csv, collect
from sfcore.bench.sources import Source, unseen
from sfcore.bench.table import DISTORTION, F1, LABELS, Measure, Table, bits_name
from sfcore.bench.timeline import Timeline, timeline
from sfcore.files import explained, write_atomic, write_json
from sfcore.names import printable, shortened
from sfcore.runs import RunFolder

TAG = 200  # bytes of a source's name in the names of files
Sections = list[tuple[str, str]]  # heading and Markdown


def write_report(
    out: Path,
    plan: Plan,
    cells: Sequence[Cell],
    sources: Sequence[Source],
    failed: Mapping[str, str],
    command: str,
) -> list[Row]:
    """Write results.csv, results.json, report.md and the folder ``tables``; returns the rows.

    Args:
        command: the command line, for the report.

    Raises:
        InputError: something cannot be written.
    """
    rows = collect(cells, sources)
    folder = out / "tables"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "results.csv", as_csv(rows))
    write_json(out / "results.json", {"rows": [asdict(row) for row in rows], "failed": dict(failed)})
    sections = [_settings(plan, cells, sources, rows, command)]
    if failed:
        sections.append(("Failed", "".join(f"- {cell}: {why}\n" for cell, why in failed.items())))
    for found in all_tables(rows):
        sections.append((found.title, _written(folder, found)))
    sections += _figures(folder, cells)
    text = "\n".join(f"## {heading}\n\n{body}" for heading, body in sections)
    write_atomic(out / "report.md", f"# Results\n\n{text}".encode())
    return rows


def all_tables(rows: Sequence[Row]) -> list[Table]:
    """Every table that the rows have something for, in the paper's order, and source by source."""
    if not rows:
        return []
    found = [tables.costs(rows, "bits", "Bits: averages over a detector, and bit operations for an image")]
    for test in dict.fromkeys(row.test for row in rows):
        here = [row for row in rows if row.test == test]
        tag = shortened(re.sub(r"\W+", "-", test), TAG)
        for measure in (F1, LABELS, DISTORTION):
            name, of = f"{tag}-{measure.name}", f"{measure.title}; {test}"
            if any(measure.of(row) is not None for row in here):
                found.append(tables.comparison(here, measure, f"table1-{name}", f"Table 1: {of}"))
                if len({row.method for row in here} & tables.ABLATION.keys()) > 1:
                    found.append(tables.ablation(here, measure, f"table2-{name}", f"Table 2, ablation: {of}"))
        found.append(
            tables.efficiency(here, F1, f"table3-{tag}", f"Table 3: F1 of agreement, and the seconds it took; {test}")
        )
        if any(row.swept for row in here):
            found += [_over_k(here, measure, tag, test) for measure in (F1, DISTORTION)]
    first = [
        row for row in rows if row.test == rows[0].test
    ]  # times are those of the runs, whatever they are tested on
    found.append(tables.reached(first, "table3-reached", f"Table 3: {tables.REACHED.title}"))
    told = [one for one in found if any(entry.text != tables.NONE for row in one.body for entry in row[2:])]
    return sorted(told, key=lambda one: one.name.partition("-")[0])


def _over_k(rows: Sequence[Row], measure: Measure, tag: str, test: str) -> Table:
    title = f"Table 7, heads selected by {SWEPT}: {measure.title}; {test}"
    return tables.over_k(rows, measure, f"table7-{tag}-{measure.name}", title)


def _written(folder: Path, found: Table) -> str:
    """Write a table's three files; returns what the report shows of it."""
    markdown = found.markdown()
    write_atomic(folder / f"{found.name}.md", f"{found.title}\n\n{markdown}".encode())
    write_atomic(folder / f"{found.name}.csv", found.csv())
    save_table_picture(folder / f"{found.name}.png", found)
    return f"{markdown}\n[CSV](tables/{found.name}.csv), [picture](tables/{found.name}.png)\n"


def _figures(folder: Path, cells: Sequence[Cell]) -> Sections:
    """Figure 6 for each scheme, of every detector's first seed."""
    found: dict[str, dict[str, Timeline]] = {}
    for cell in cells:
        one = found.setdefault(cell.bits, {})
        if cell.label == SWEPT and cell.spec.detector not in one:
            told = timeline(RunFolder(cell.path).events()[0])
            if told:
                one[cell.spec.detector] = told
    sections: Sections = []
    for scheme, told_of in found.items():
        if told_of:
            name = shortened(re.sub(r"[^\w.=-]+", "-", f"figure6-{scheme}"), TAG)
            title = f"Figure 6: noise of each head, {bits_name(scheme)}, {SWEPT}"
            write_atomic(folder / f"{name}.csv", timelines.as_csv(told_of))
            save_timeline_picture(folder / f"{name}.png", title, told_of)
            sections.append((title, f"![{title}](tables/{name}.png)\n\n[CSV](tables/{name}.csv)\n"))
    return sections


def _settings(
    plan: Plan, cells: Sequence[Cell], sources: Sequence[Source], rows: Sequence[Row], command: str
) -> tuple[str, str]:
    """Everything that decided the results."""
    versions = {f"{name} {getattr(row, name)}" for row in rows for name in ("sfcore", "torch", "python")}
    tested = [f"{source.name} ({len(unseen(source).files)}, {unseen(source).hash[:12]})" for source in sources]
    lines = [
        f"command: `{command}`",
        f"calibrated and tuned on: {', '.join(plan.images)}, {f'{plan.limit} images' if plan.limit else 'all images'}",
        f"judged on (images, hash): {', '.join(tested)}",
        f"seeds: {', '.join(map(str, plan.seeds))}; values are means over them ± their sample deviation",
        f"versions: {', '.join(sorted(versions))}",
        f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, device {plan.device}",
        f"cells: {len(cells)}",
    ]
    options: dict[str, dict[str, None]] = {}
    for cell in cells:
        options.setdefault(cell.label, {})[json.dumps(dict(cell.spec.options))] = None
    lines += [f"options of {label}: {' or '.join(given)}" for label, given in options.items()]
    return "How they were made", "".join(f"- {printable(line)}\n" for line in lines)
