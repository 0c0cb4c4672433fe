"""``sfcore layers`` on the shipped detector, and ``sfcore scenes``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import sfcore.cli
from sfcore.datasets.images import read_image
from sfcore.datasets.scenes import render
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
    assert answer["scheme"]["name"] == "W3A3" and 3 < answer["scheme"]["average_weight_bits"] < 4
    with (tmp_path / "layers.csv").open() as file:
        assert [row["layer"] for row in csv.DictReader(file)] == [layer["layer"] for layer in answer["layers"]]
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


def test_scenes_are_rendered_with_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["scenes", "--out", str(tmp_path), "--count", "2", "--seed", "7", "--scenario", "night", "--json"]
    assert sfcore.cli.main(words) == 0
    assert [one["seed"] for one in json.loads(capsys.readouterr().out)["scenes"]] == [7, 8]
    labels = json.loads((tmp_path / "labels.json").read_text())
    for one in labels:
        expected = render(one["seed"], scenario="night")
        assert read_image(tmp_path / one["file"]).tolist() == expected.image.tolist()
        assert [len(line) for line in one["lanes"]] == [len(line) for line in expected.lanes]


def test_a_scenario_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sfcore.cli.main(["scenes", "--out", str(tmp_path), "--scenario", "snow"]) == 1
    assert "there is no scenario 'snow': choose one of normal" in capsys.readouterr().err
