"""``sfcore report``: the file it writes and what it says of it."""

from __future__ import annotations

from pathlib import Path

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.registry import create
from sfcore.present.report.sections.settings import run_settings
from sfcore.quant import Scheme, quantize
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec
from tests.cli.conftest import Command

SCENES = sample_data() / "scenes"


def calibrated(path: Path) -> RunFolder:
    """A run that has been calibrated and not tuned."""
    run = RunFolder.create(path, RunSpec("lstr-tiny", (str(SCENES),), "W8A8", "calibrate", limit=2))
    detector = create("lstr-tiny")
    batch = detector.preprocess(read_images(find_images([SCENES], 2)))
    run.save_tensors("calibrated", quantize(detector, Scheme.parse("W8A8"), [batch]).state_dict())
    return run


def test_a_report_is_written(sfcore_: Command, tmp_path: Path) -> None:
    run, out = calibrated(tmp_path / "run"), tmp_path / "report.html"
    found = sfcore_.json("report", run.path, "--images", SCENES, "--frames", 2, "--out", out)
    assert found["report"] == str(out) and found["images"] == 2 and found["problems"] == []
    assert found["models"]["full precision"]["f1"] == 1 and 0 < found["models"]["calibrated"]["f1"] <= 1
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_settings_tell_what_the_bits_cost(tmp_path: Path) -> None:
    said = run_settings(calibrated(tmp_path / "run"))
    assert "Average bits of weights" in said and "14.7 G" in str(said["Bit operations an image"])


def test_what_cannot_be_reported_is_said(sfcore_: Command, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "report.html")
    assert "no run folder" in sfcore_.error("report", tmp_path / "none", *out)
    empty = RunFolder.create(tmp_path / "empty", RunSpec("lstr-tiny", (str(SCENES),), "W8A8", "calibrate"))
    assert "no model yet" in sfcore_.error("report", empty.path, *out)
    run = calibrated(tmp_path / "run")
    assert "choose images" in sfcore_.error("report", run.path, *out)
    assert "at least 1" in sfcore_.error("report", run.path, "--frames", 0, *out)
    assert "cannot write" in sfcore_.error("report", run.path, "--images", SCENES, "--out", tmp_path / "no" / "r.html")
