"""Weights in the app: a choice where a checkpoint holds several, and a word where a run's are no longer its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfcore.datasets.images import content_hash
from sfcore.detectors.registry import create, entry
from sfcore.runs import RunFolder
from tests.app.conftest import Visit, errors


@pytest.fixture
def averaged(tmp_path: Path) -> Path:
    """A checkpoint with the shipped weights as ``ema`` beside others as ``model``."""
    state = create("lstr-tiny").state_dict()
    halves = {key: value / 2 if value.is_floating_point() else value for key, value in state.items()}
    torch.save({"model": halves, "ema": state}, tmp_path / "last.pth")
    return tmp_path / "last.pth"


def test_of_several_weights_in_a_checkpoint_the_visitor_chooses_one(visit: Visit, averaged: Path) -> None:
    app = visit(detector="lstr-tiny", weights=str(averaged))
    assert errors(app)[0] == "last.pth has several weights that fit: choose one of model, ema"
    app.selectbox(key="weights_key").set_value("ema").run()
    assert errors(app) == []
    app.text_input(key="weights").set_value("").run()
    assert errors(app) == [] and not [box for box in app.selectbox if box.key == "weights_key"]


def test_the_choice_is_in_the_link_and_a_wrong_one_is_asked_again(visit: Visit, averaged: Path) -> None:
    app = visit(detector="lstr-tiny", weights=str(averaged), weights_key="model")
    assert errors(app) == [] and app.selectbox(key="weights_key").value == "model"
    app = visit(detector="lstr-tiny", weights=str(averaged), weights_key="teacher")
    assert "choose one of model, ema" in errors(app)[0] and not app.exception


@pytest.fixture
def of_a_file(run: RunFolder, tmp_path: Path) -> RunFolder:
    """The run as one of a checkpoint that its owner goes on training."""
    weights = tmp_path / "best.safetensors"
    shutil.copy(str(entry(run.spec.detector).shipped), weights)
    record = run.record()
    record["spec"]["weights"] = str(weights)
    (run.path / "run.json").write_text(json.dumps(record | {"weights_hash": content_hash([weights])}))
    return run


def test_every_page_says_that_the_weights_of_a_run_have_changed(visit: Visit, of_a_file: RunFolder) -> None:
    weights = str(of_a_file.spec.weights)
    pages = {
        "compare": {"run": "first", "frames": "2"},
        "curves": {"c_run": "first", "c_images": "2", "c_reruns": "2"},
        "heads": {"run": "first", "kind": "Quantization error"},
    }
    for page, query in pages.items():
        assert errors(visit(page, weights=weights, **query)) == [], page
    save_file({name: value + 0.001 for name, value in load_file(weights).items()}, weights)
    for page, query in pages.items():
        app = visit(page, weights=weights, **query)
        assert "best.safetensors has changed since the run" in errors(app)[0] and not app.exception, page
