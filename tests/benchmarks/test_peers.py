"""Peers side by side: what each is given, what it leaves in full precision, and what the engines make of its file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.peers import __main__ as command
from benchmarks.peers.base import PEERS, Problem, Settings
from benchmarks.peers.child import apart
from benchmarks.peers.contents import unquantized
from benchmarks.peers.measure import judged, written
from benchmarks.peers.table import markdown
from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.registry import create
from sfcore.resources import sample_data

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

NAME = "laneatt-tiny"


def frames(count: int) -> Tensor:
    spec = create(NAME).preprocessing
    return spec.stack(read_images(find_images([sample_data() / "scenes"], count)))


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return written(NAME, None, frames(4), Settings(steps=1), tmp_path_factory.mktemp("problem"))


def agreed(made: Any) -> dict[str, Any]:
    detector = create(NAME).requires_grad_(False)
    return judged(detector, made, detector.preprocessing.normalize(frames(4)))


@pytest.mark.slow
def test_all_peers_are_given_what_the_detector_reads(problem: Problem) -> None:
    samples = problem.samples()
    expected = create(NAME).preprocessing.normalize(frames(4))
    assert len(samples) == 4
    assert torch.equal(torch.from_numpy(np.concatenate(samples)), expected)
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))) == problem
    found = agreed(PEERS["full-precision"](problem, problem.model.parent))
    assert {name: each["f1"] for name, each in found.items()} == {"onnxruntime": 1.0, "openvino": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnxruntime-minmax", "onnxruntime-minmax-products"])
def test_onnxruntime_quantizes_the_same_file(name: str, problem: Problem, tmp_path: Path) -> None:
    made = PEERS[name](problem, tmp_path)
    count, left = unquantized(made.file)
    assert (count, left) == (unquantized(problem.model)[0], [])
    (found,) = agreed(made).values()
    assert found["f1"] > 0.8 and found["distortion"] > 0


@pytest.mark.slow
def test_nncf_quantizes_the_same_file(problem: Problem, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    made = PEERS["nncf-mixed"](problem, tmp_path)
    assert unquantized(made.file)[1] == []
    found = agreed(made)
    assert list(found) == ["openvino"]
    assert found["openvino"]["f1"] > 0.8 and found["openvino"]["distortion"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ours-calibrated", "ours-tuned"])
def test_our_own_are_judged_by_both_engines(name: str, problem: Problem, tmp_path: Path) -> None:
    made = PEERS[name](problem, tmp_path)
    assert unquantized(made.file)[1] == []
    assert {engine: each["f1"] > 0.8 for engine, each in agreed(made).items()} == {
        "onnxruntime": True,
        "openvino": True,
    }


def test_a_peer_that_fails_says_why_and_stops_nothing(tmp_path: Path) -> None:
    nowhere = Problem(NAME, None, tmp_path / "none.onnx", tmp_path / "none.npy", tmp_path / "none.npy")
    made, took = apart("onnxruntime-minmax", nowhere, tmp_path)
    assert made is None
    assert "none.onnx" in took["error"]


def test_products_with_an_input_that_is_not_rounded_are_named(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    constants = {
        "integers": np.ones((4, 4), np.int8), "float": np.ones((4, 4), np.float32),
        "step": np.float32(0.1), "zero": np.uint8(3),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["xi"]),
        helper.make_node("DequantizeLinear", ["xi", "step", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["integers", "step"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["y"], "rounded"),
        helper.make_node("MatMul", ["y", "wd"], ["z"], "by-weights"),
        helper.make_node("MatMul", ["z", "float"], ["last"], "last"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("last", kind.FLOAT, [2, 4])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), file)
    assert unquantized(file) == (3, ["by-weights (inputs)", "last (inputs, weights)"])


def row(peer: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"detector": "d", "peer": peer, "seed": seed, **more}


def test_a_table_has_means_over_seeds_and_says_what_fails() -> None:
    whole = {"bits": "W8A8", "products": 9, "unquantized": ["a"], "processor_seconds": 2.0, "peak_mb": 300.0}
    rows = [
        row("p", 0, **whole, seconds=4.0, engines={"openvino": {"f1": 0.9, "distortion": 4.0}}),
        row("p", 1, **whole, seconds=6.0, engines={"openvino": {"f1": 1.0, "distortion": 2.0}}),
        row("q", 0, error="no | such thing"),
        row("r", 0, **whole, seconds=1.0, engines={"onnxruntime": {"error": "why"}}),
        {**row("p", 0), "detector": "other"},
    ]
    lines = markdown(rows, "d").splitlines()[4:]
    assert lines[0] == "| p | W8A8 | 1 of 9 products | – | 0.950 / 3.0 | 5 | 2 | 300 |"
    assert "no / such thing" in lines[1]
    assert "| does not run | – |" in lines[2]
    assert len({line.count("|") for line in lines}) == 1


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def rows_of(name: str, seed: int, peers: list[str], _: Any) -> Any:
        asked.append((name, seed, peers))
        yield from (row(peer, seed, error="none") | {"detector": name} for peer in peers)

    monkeypatch.setattr(command, "rows_of", rows_of)
    words = ["peers", "d", "--peers", "ours-tuned", "full-precision", "--out", str(tmp_path / "rows.jsonl")]
    for seeds in (["0"], ["0", "1"]):
        monkeypatch.setattr(sys, "argv", [*words, "--seeds", *seeds])
        command.main()
    names = ["ours-tuned", "full-precision"]
    assert asked == [("d", 0, names), ("d", 0, []), ("d", 1, names)]
    assert capsys.readouterr().out.count("| ours-tuned |") == 2
