"""Rows of several benches become one report."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.results import draw, how_made, joined, level, main, moves_of
from sfcore.bench.rows import Row, as_csv, read_csv


def row(method: str, seed: int, distortion: float, bits: str = "W4A4") -> Row:
    return Row("ganet-tiny", bits, method, seed, "scenes", 4, 0.5, distortion, None, iterations=1)


ANEW = [row("best", 0, 1.0), row("OMSE", 0, 2.0)]
FORMER = [row("OMSE", 0, 3.0), row("netwise", 0, 4.0), row("OMSE", 1, 5.0), row("best", 0, 6.0, "W4A4,heads=16")]


def test_of_the_same_cell_the_first_is_taken_and_methods_keep_the_order_of_the_last() -> None:
    found = [(r.bits, r.method, r.seed, r.distortion) for r in joined([ANEW, FORMER])]
    assert found == [
        ("W4A4", "OMSE", 0, 2.0), ("W4A4", "OMSE", 1, 5.0), ("W4A4", "netwise", 0, 4.0), ("W4A4", "best", 0, 1.0),
        ("W4A4,heads=16", "best", 0, 6.0),
    ]  # fmt: skip


def test_a_joined_report_says_how_each_bench_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in {"anew": ANEW, "former": FORMER}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_bytes(as_csv(rows))
        (tmp_path / name / "report.md").write_text(
            f"# Results\n\n## How they were made\n\n- {name}\n\n## Table 1\n\nx\n"
        )
    files = [str(tmp_path / name / "results.csv") for name in ("anew", "former")]
    against = ["--against", "best", "OMSE"]
    monkeypatch.setattr(sys, "argv", ["results", str(tmp_path / "out"), *files, *against])
    main()
    assert read_csv(tmp_path / "out" / "results.csv") == joined([ANEW, FORMER])
    assert how_made(tmp_path / "out" / "results.csv") == "- anew\n\n- former\n"
    drawn = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert drawn == {"agreement-scenes.png"}  # of one detector


def test_of_several_detectors_every_scheme_has_its_pictures(tmp_path: Path) -> None:
    rows = joined([ANEW, FORMER])
    draw(
        tmp_path,
        [*rows, *(replace(row, detector="lstr-tiny") for row in rows)],
        [("best", "OMSE")],
        {("lstr-tiny", "W4A4"): 0.5},
    )
    assert {path.name for path in tmp_path.iterdir()} == {"relative-W4A4-scenes.png", "best-OMSE-W4A4-scenes.png"}


def written(path: Path, *moved: float) -> Path:
    rows = [{"detector": "ganet-tiny", "bits": "W4A4", "moved": {"f1": 0.0, "distortion": one}} for one in moved]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_the_most_that_any_model_was_moved_counts(tmp_path: Path) -> None:
    assert moves_of([written(tmp_path / "a.jsonl", 0.2, 0.5, 0.1), written(tmp_path / "b.jsonl", 0.4)]) == {
        ("ganet-tiny", "W4A4"): 0.5
    }


def test_methods_are_level_with_the_first_up_to_what_sums_move() -> None:
    rows = [row(*about) for about in (("OMSE", 0, 9.0), ("brecq", 0, 7.5), ("best", 0, 7.0), ("qdrop", 0, 7.49))]
    rows.append(replace(row("best", 0, 1.0), detector="resa-tiny"))
    found = level(rows, {("ganet-tiny", "W4A4"): 0.5, ("scnn-tiny", "W4A4"): 9.0})
    assert [[entry.text for entry in line] for line in found.body] == [
        ["ganet-tiny", "W4A4", "0.50", "best (7.00)", "brecq, qdrop"]
    ]
