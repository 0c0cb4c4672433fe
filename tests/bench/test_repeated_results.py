"""Benches joined: which differences the order of sums alone would make as well."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.results import level, moves_of
from sfcore.bench.rows import Row


def row(method: str, distortion: float, detector: str = "ganet-tiny") -> Row:
    return Row(detector, "W4A4", method, 0, "scenes", 60, 0.9, distortion, None)


def written(path: Path, *moved: float) -> Path:
    rows = [{"detector": "ganet-tiny", "bits": "W4A4", "moved": {"f1": 0.0, "distortion": one}} for one in moved]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_the_most_that_any_model_was_moved_counts(tmp_path: Path) -> None:
    assert moves_of([written(tmp_path / "a.jsonl", 0.2, 0.5, 0.1), written(tmp_path / "b.jsonl", 0.4)]) == {
        ("ganet-tiny", "W4A4"): 0.5
    }


def test_methods_are_level_with_the_first_up_to_what_sums_move() -> None:
    rows = [row("OMSE", 9.0), row("brecq", 7.5), row("best", 7.0), row("qdrop", 7.49), row("best", 1.0, "resa-tiny")]
    found = level(rows, {("ganet-tiny", "W4A4"): 0.5, ("scnn-tiny", "W4A4"): 9.0})
    assert [[entry.text for entry in line] for line in found.body] == [
        ["ganet-tiny", "W4A4", "0.50", "best (7.00)", "brecq, qdrop"]
    ]
