"""Growth: datasets of any size, what a command is found to take, and that what was measured is not measured again."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.growth import images
from benchmarks.growth.base import Part
from benchmarks.growth.command import family, took
from benchmarks.growth.picture import save_growth
from benchmarks.growth.roads import MAKERS
from benchmarks.growth.table import markdown
from sfcore.cli import main
from sfcore.datasets.dataset import open_dataset
from sfcore.detectors.registry import DETECTORS, create

FIGURES = {"seconds": 4.0, "processor": 3.0, "own": 3.0, "peak_mb": 300.0, "together_mb": 200.0, "load": 1.0}
ROWS = [
    {"part": "images", "what": "evaluate files", "layout": "culane", "images": 100, **FIGURES},
    {"part": "images", "what": "evaluate detector", "layout": "culane", "images": 100, "detector": "a", **FIGURES,
     "again": FIGURES},
    {"part": "heads", "detector": "a", "images": 10, **FIGURES, "heads": {"x": {"elements": 8, "processor": 0.1}}},
    {"part": "visitors", "visitors": 2, "answers": 9, "median_ms": 90, "p95_ms": 120, "processor_ms": 50, "busy": 0.1,
     "empty_mb": 300, "full_mb": 320, "load": 1.0},
    {"part": "workers", "what": "curves", "workers": 1, "images": 48, **FIGURES},
]  # fmt: skip


@pytest.mark.parametrize("layout", MAKERS)
def test_roads_are_listed_again_and_again_each_with_its_lanes(tmp_path: Path, layout: str) -> None:
    rendered = tmp_path / "rendered"
    command = ["scenes", "--layout", layout, "--count", "3", "--seed", "7", "--size", "160x90", "--out", str(rendered)]
    assert main(command) == 0
    MAKERS[layout](rendered, tmp_path / "many", 8)
    few, many = open_dataset(rendered), open_dataset(tmp_path / "many")
    assert len({frame.name for frame in many.frames}) == 8 and not many.problems
    for place, frame in enumerate(many.frames):
        expected = few.label(few.frames[place % 3])
        assert expected and [lane.tolist() for lane in many.label(frame).lanes] == [x.tolist() for x in expected.lanes]
        assert frame.image.read_bytes() == few.frames[place % 3].image.read_bytes()


def test_what_was_measured_is_not_measured_again() -> None:
    args = argparse.Namespace(layouts=["culane", "tusimple"], images=[100], detectors=["a"])
    missing = images.PART.missing(args, ROWS)
    assert [(cell["what"], cell["layout"]) for cell in missing] == [
        ("evaluate files", "tusimple"), ("evaluate detector", "tusimple"),
    ]  # fmt: skip
    assert Part(lambda _: [{"part": "images", "images": 7}], lambda cell, _: cell).missing(args, ROWS)


def test_a_command_takes_what_the_processes_that_it_starts_take(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "import subprocess, sys, time\n"
        "code = 'kept = bytearray(200 << 20); import time; time.sleep(3)'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\nprint('whole')\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        found, printed = took(module="two")
        assert printed == "whole\n"
        assert found["together_mb"] > 200 and found["peak_mb"] > 200 and found["seconds"] > 3
        with pytest.raises(RuntimeError, match="No module named nothing"):
            took(module="nothing")


def test_descendants_are_found_whichever_thread_started_them() -> None:
    code = (
        "import subprocess, sys, threading\n"
        "def start(): subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])\n"
        "threading.Thread(target=start).start()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        assert len(list(family(process.pid))) == 2
        process.communicate(b"\n")


@pytest.fixture
def light() -> Iterator[str]:
    """The name of the light detector, which is registered for the length of a test."""
    name = import_module("benchmarks.growth.light").LIGHT
    yield name
    del DETECTORS._things[name], DETECTORS._owners[name], sys.modules["benchmarks.growth.light"]


def test_the_light_detector_has_the_weights_that_ship(light: str) -> None:
    found, tiny = create(light).state_dict(), create("lstr-tiny").state_dict()
    assert all(found[name].equal(value) for name, value in tiny.items())


def test_rows_become_tables_and_a_picture_even_where_parts_are_missing(tmp_path: Path) -> None:
    for rows in (ROWS, ROWS[:1], []):
        save_growth(tmp_path / "growth.png", rows)
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
        assert markdown(rows).count("\n\n") == max(len({row["part"] for row in rows}) - 1, 0)
    assert "| evaluate files | culane | 100 |" in markdown(ROWS)
