"""What a run's events tell: seconds of each part, and the noise of its heads over time."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfcore.bench.rows import Row, as_csv, phase_seconds, read_csv, seconds_until, tuning_seconds
from sfcore.bench.timeline import timeline
from sfcore.errors import InputError


def getting_ready(time: float, phase: str, done: int, total: int = 2) -> dict[str, Any]:
    return {"time": time, "type": "progress", "phase": phase, "done": done, "total": total}


def step(time: float, iteration: int, **more: Any) -> dict[str, Any]:
    return {"time": time, "type": "step", "iteration": iteration, **more}


EVENTS = [
    getting_ready(100.0, "reading images", 2),
    getting_ready(101.0, "calibrating", 1),
    getting_ready(103.0, "calibrating", 2),
    getting_ready(104.0, "measuring curves", 1),
    getting_ready(107.5, "measuring curves", 2),
    {"time": 107.75, "type": "note", "text": "needs 3 GB"},
    step(108.0, 1, best=9.0),
    step(109.0, 2, best=5.0),
    {"time": 110.0, "type": "stopped"},
    getting_ready(500.0, "reading images", 2),
    getting_ready(502.0, "recording unit 1 of 2", 2),
    step(503.0, 3, best=4.0),
    step(503.5, 4),
]


def test_seconds_are_told_from_events_and_pauses_do_not_count() -> None:
    assert phase_seconds(EVENTS, "calibrating") == 3.0
    assert phase_seconds(EVENTS, "measuring curves") == 4.5
    assert phase_seconds(EVENTS[:4], "measuring curves") is None  # killed on the way
    assert phase_seconds(EVENTS, "rendering scenes") is None
    assert tuning_seconds(EVENTS) == 0.5 + 1.0 + 2.0 + 1.0 + 0.5
    assert tuning_seconds(EVENTS[:5]) == 0.0


def test_a_quality_is_reached_at_the_first_check_that_is_as_good() -> None:
    assert seconds_until(EVENTS, 5.0, curves=4.5) == 4.5 + 1.5
    assert seconds_until(EVENTS, 4.9, curves=0.0) == 1.5 + 3.0
    assert seconds_until(EVENTS, 3.0, curves=0.0) is None
    assert seconds_until(EVENTS, None, curves=0.0) is None
    assert seconds_until(EVENTS, 5.0, curves=None) is None


def test_rows_are_written_under_their_names() -> None:
    row = Row("a", "W4A4", "netwise", 0, "unseen", 10, 0.5, 1.0, None)
    (read,) = csv.DictReader(io.StringIO(as_csv([row]).decode()))
    assert (read["detector"], read["f1"], read["shift_px"], read["k"]) == ("a", "0.5", "", "")
    assert row.seconds is None


def test_rows_are_read_as_they_were_written_and_as_former_versions_wrote_them(tmp_path: Path) -> None:
    rows = [
        Row("a", "W4A4", "netwise", 0, "unseen", 10, 0.5, 1.0, None, model="0123456789ab"),
        Row("b", "W8A8", "qdrop", 1, "seen", 2, None, 2.5, None, k=2),
    ]
    file = tmp_path / "results.csv"
    file.write_bytes(as_csv(rows))
    assert read_csv(file) == rows
    former = [line.split(",") for line in as_csv(rows[:1]).decode().splitlines()]
    place = former[0].index("model")
    file.write_text("\n".join(",".join(line[:place] + line[place + 1 :]) for line in former))
    assert read_csv(file) == [replace(rows[0], model="")]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("name,f1\na,much\n")
    with pytest.raises(InputError, match=r"other\.csv has no rows of a bench .* give the results\.csv"):
        read_csv(tmp_path / "other.csv")
    with pytest.raises(InputError, match="cannot read"):
        read_csv(tmp_path / "none.csv")


def test_a_timeline_averages_stretches_of_equal_length() -> None:
    """Head a is selected in the first three of six steps."""
    noise = [0.1, 0.3, 0.2, 0.4, 0.6, 0.8]
    steps = [
        step(i, i + 1, noise={"a": level, "b": 1.0}, selected=["a"] if i < 3 else ["b"])
        for i, level in enumerate(noise)
    ]
    found = timeline([EVENTS[0], *steps], most=3)
    assert found and found.iterations.tolist() == [2, 4, 6]
    assert found.noise["a"] == pytest.approx([0.2, 0.3, 0.7])
    assert found.selected["a"].tolist() == [1.0, 0.5, 0.0] and found.selected["b"].tolist() == [0.0, 0.5, 1.0]
    assert found.rows()[0] == {"iteration": 2, "head": "a", "noise": pytest.approx(0.2), "selected": 1.0}
    every = timeline(steps)
    assert every and np.allclose(every.noise["a"], noise)
    assert timeline([EVENTS[0], step(0, 1, unit=[1, 2, "layer1"])]) is None
