"""``sfcore layers`` on the shipped detector."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import sfcore.cli
from sfcore.resources import sample_data


@pytest.mark.slow
def test_each_layer_is_quantized_alone_and_the_worst_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = str(sample_data() / "scenes" / "00-curve.jpg")
    words = ["layers", "ganet-tiny", "--images", source, "--bits", "W3A3", "--out", str(tmp_path), "--json"]
    assert sfcore.cli.main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    scores = [layer["distortion"] for layer in answer["layers"]]
    assert answer["images"] == 1
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    edge = next(layer for layer in answer["layers"] if layer["layer"] == "backbone.conv1" and layer["part"] == "weight")
    assert edge["bits"] == 8
    with (tmp_path / "layers.csv").open() as file:
        assert [row["layer"] for row in csv.DictReader(file)] == [layer["layer"] for layer in answer["layers"]]
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
