"""The rows of peers as a table for each detector."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.rows import Row

COLUMNS = ("entry", "bits", "in full precision", "onnxruntime", "openvino", "seconds", "of the processor", "MB at most")


def markdown(rows: Sequence[Row], name: str) -> str:
    """One detector: F1 / distortion of each entry in each engine, means over seeds, beside what it took."""
    own = [row for row in rows if row["detector"] == name]
    lines = [f"**{name}**", "", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for peer in dict.fromkeys(row["peer"] for row in own):
        lines.append(_line(peer, [row for row in own if row["peer"] == peer]))
    return "\n".join(lines)


def _line(peer: str, rows: Sequence[Row]) -> str:
    whole = [row for row in rows if "error" not in row]
    if not whole:
        return f"| {peer} |" + f" fails: {rows[0]['error'].replace('|', '/')} |" + " – |" * (len(COLUMNS) - 2)
    first = whole[0]
    left = f"{len(first['unquantized'])} of {first['products']} products"
    took = [f"{statistics.fmean(row[key] for row in whole):.0f}" for key in TOOK]
    cells = [peer, first["bits"], left, *(_agreed(whole, engine) for engine in ("onnxruntime", "openvino")), *took]
    return "| " + " | ".join(cells) + " |"


TOOK = ("seconds", "processor_seconds", "peak_mb")


def _agreed(rows: Sequence[Row], engine: str) -> str:
    found = [row["engines"][engine] for row in rows if engine in row["engines"]]
    if not found or any("error" in each for each in found):
        return "does not run" if found else "–"
    f1, distortion = (statistics.fmean(each[key] for each in found) for key in ("f1", "distortion"))
    return f"{f1:.3f} / {distortion:.1f}"
