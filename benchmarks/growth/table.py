"""The rows of growth as tables."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.rows import Row

COLUMNS = {
    "images": ("what", "layout", "images", "processor", "peak_mb", "seconds", "load"),
    "heads": ("detector", "images", "processor", "peak_mb", "load"),
    "visitors": (
        "visitors", "median_ms", "p95_ms", "processor_ms", "busy", "empty_mb", "full_mb", "load",
    ),
    "workers": ("what", "workers", "images", "seconds", "processor", "own", "together_mb", "load"),
}  # fmt: skip


def markdown(rows: Sequence[Row]) -> str:
    """A table for each part that was measured."""
    tables = []
    for part, columns in COLUMNS.items():
        if own := [row for row in rows if row["part"] == part]:
            lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
            lines += [" | ".join(str(row[column]) for column in columns) for row in own]
            tables.append("\n".join(f"| {line} |" for line in lines))
    return "\n\n".join(tables)
