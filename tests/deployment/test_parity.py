"""What engines predict beside what the simulation predicts: verdicts, repeatability, latency."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.images import find_images
from sfcore.deployment import parity
from sfcore.deployment.arithmetic import ARITHMETICS, one_by_one, thread_count
from sfcore.deployment.latency import TIMED, WARM, Latency
from sfcore.deployment.metrics import scored
from sfcore.deployment.parity import FULL, SIMULATION, Parity, check
from sfcore.deployment.running import running
from sfcore.deployment.subjects import of_detector, of_run
from sfcore.engines.base import ENGINES, Outputs, failed
from sfcore.errors import InputError
from sfcore.export.base import Subject
from sfcore.quant import Scheme
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec
from sfcore.tasks.base import Agreement
from tests.runs.finished import finished_run

SCENES = str(sample_data() / "scenes")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return of_detector("ganet-tiny", scheme=Scheme.parse("W8A8-portable-adds"), images=[SCENES])


@pytest.fixture(scope="module")
def frames() -> list[Path]:
    return find_images([SCENES], 3)


@pytest.fixture(scope="module")
def found(subject: Subject, frames: list[Path]) -> Parity:
    return check(subject, frames, ["onnxruntime", "openvino"])


def agreement(f1: float, distortion: float) -> Agreement:
    return Agreement(10, 9, 1, 1, f1, f1, f1, distortion, 1.0, "px")


def judged(promised: Agreement, engine: Agreement, before: Agreement | None = None, noise: float = 1.0) -> Parity:
    between, itself = {f"{SIMULATION}|engine": agreement(0.9, 4.0)}, {"float64": agreement(0.9, noise)}
    return Parity(10, {SIMULATION: promised, "engine": engine}, {}, itself, between, {}, {}, {}, before)


def test_engines_run_what_was_exported(found: Parity) -> None:
    assert found.images == 3 and not found.failed
    assert list(found.engines) == [SIMULATION, "onnxruntime", "openvino"]
    assert all(each.f1 > 0.9 for each in found.engines.values())
    assert set(found.repeatability) == set(ARITHMETICS) == {"layout", "batch", "float64", "threads"}
    assert set(found.between) == {"simulation|onnxruntime", "simulation|openvino", "onnxruntime|openvino"}
    for name in found.engines:
        assert set(found.heads[name]) == {"kpts", "cpts", "offset", "error"}
        assert all(0 < level < 0.5 for level in found.heads[name].values())
    assert found.bytes["onnx"] < 0.31 * found.bytes["onnx-fp32"]


def test_it_is_said_in_json(found: Parity) -> None:
    content = json.loads(json.dumps(found.to_dict()))
    assert set(content["engines"]) == {SIMULATION, "onnxruntime", "openvino"}
    for each in (*content["engines"].values(), *content["repeatability"].values()):
        assert {"f1", "distortion", "shift_px"} <= set(each)
    for each in content["latency"].values():
        assert 0 < each["median_ms"] <= each["p95_ms"] and each["fp32"]["median_ms"] > 0
    assert len(content["verdicts"]) == 2


@pytest.mark.parametrize(
    ("f1", "distortion", "kept"),
    [(0.9, 10.0, True), (0.89, 11.0, True), (0.888, 10.0, False), (0.9, 11.01, False), (1.0, 2.0, True)],
)
def test_an_engine_may_be_a_tenth_worse(f1: float, distortion: float, kept: bool) -> None:
    assert judged(agreement(0.9, 10.0), agreement(f1, distortion)).keeps("engine") is kept


def test_of_a_small_distortion_half_a_pixel_may_be_lost() -> None:
    assert judged(agreement(1.0, 0.1), agreement(1.0, 0.59)).keeps("engine")
    assert not judged(agreement(1.0, 0.1), agreement(1.0, 0.61)).keeps("engine")


def test_verdicts_are_sentences() -> None:
    (kept,) = judged(agreement(0.94, 5.0), agreement(0.93, 5.2), before=agreement(0.5, 20.0)).verdicts()
    assert kept == (
        "engine keeps what tuning gained: F1 0.93 of 0.94, distortion 5.2 of 5.0; calibrated alone: F1 0.50, "
        "distortion 20.0"
    )
    (lost,) = judged(agreement(0.94, 5.0), agreement(0.03, 60.0)).verdicts()
    assert lost.startswith("engine does not keep what the simulation promises: F1 0.03 of 0.94") and "-adds" in lost
    (near,) = judged(agreement(0.94, 5.0), agreement(0.92, 5.1), noise=4.0).verdicts()
    assert near.startswith("engine differs from the simulation by no more than this differs from itself")
    missing = replace(judged(agreement(1, 0), agreement(1, 0)), failed={"other": "cannot load it"})
    assert missing.verdicts()[-1] == "other does not run it: cannot load it"


def test_an_engine_that_fails_is_written_down_and_the_others_go_on(
    subject: Subject, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: Path, threads: int = 0) -> Callable[[np.ndarray], Outputs]:
        def run(images: np.ndarray) -> Outputs:
            raise failed("broken", path, RuntimeError("a line\nits last words"))

        return run  # type: ignore[return-value]

    monkeypatch.setitem(ENGINES._things, "broken", load)
    monkeypatch.setitem(ENGINES._owners, "broken", parity)
    result = check(subject, frames[:1], ["broken", "onnxruntime"])
    assert set(result.engines) == {SIMULATION, "onnxruntime"}
    assert "its last words" in result.failed["broken"] and "broken" not in result.latency
    assert result.to_dict()["engines"]["broken"] == {"error": result.failed["broken"]}


def test_an_unknown_engine_is_refused_before_anything_is_done(subject: Subject, frames: list[Path]) -> None:
    with pytest.raises(InputError, match="no engine 'tensorrt': choose one of onnxruntime, openvino"):
        check(subject, frames, ["tensorrt"])


def test_arithmetics_agree_in_full_precision(subject: Subject) -> None:
    detector = subject.detector
    inputs = detector.preprocessing.normalize(detector.preprocessing.example(2, torch.Generator().manual_seed(0)))
    with torch.no_grad():
        expected = one_by_one(detector)(inputs)
        for name, make in ARITHMETICS.items():
            for head, value in make(detector)(inputs).items():
                assert value.dtype == torch.float32, name
                torch.testing.assert_close(value, expected[head], rtol=1e-3, atol=1e-3)
    assert next(detector.parameters()).dtype == torch.float32  # copies are changed, never it


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with thread_count(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_latency_is_of_runs_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = 0.0, 0

    def now() -> float:
        return clock

    def run() -> None:
        nonlocal clock, calls
        calls += 1
        clock += 9.0 if calls <= WARM else 0.002

    monkeypatch.setattr("sfcore.deployment.latency.time.perf_counter", now)
    taken = Latency.of(run)
    assert calls == WARM + TIMED
    assert math.isclose(taken.median_ms, 2.0, rel_tol=1e-6) and math.isclose(taken.p95_ms, 2.0, rel_tol=1e-6)


def test_a_run_that_is_not_done_is_refused(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", RunSpec("ganet-tiny", (SCENES,), "W8A8", "best"))
    with pytest.raises(InputError, match="is queued, not done"):
        of_run(folder)


def test_a_run_tells_of_itself(tmp_path: Path) -> None:
    subject = of_run(finished_run(tmp_path / "run", "ganet-tiny"))
    assert subject.about["model"] == "tuned" and subject.about["metrics"] == {"f1": 0.5, "distortion": 3.0}
    assert subject.about["scheme"]["bits"] == "W4A4" and subject.about["scheme"]["target"] is None
    assert len(subject.about["hashes"]["model"]) == 64


def test_bits_and_images_come_together() -> None:
    with pytest.raises(InputError, match="give the one that is missing"):
        of_detector("ganet-tiny", scheme=Scheme.parse("W8A8"))
    assert of_detector("ganet-tiny").quantized is None


def test_an_engine_runs_as_a_detector_whose_heads_are_in_order(subject: Subject) -> None:
    model, names = subject.detector, [head.name for head in subject.detector.heads]
    calls: list[tuple[int, ...]] = []

    def session(images: np.ndarray) -> Outputs:
        calls.append(images.shape)
        return [np.full((1, 2), place, np.float32) for place in range(len(names))]

    inputs = model.preprocessing.normalize(model.preprocessing.example(2))
    outputs = running(model, session)(inputs)
    assert list(outputs) == names and calls == [(1, *inputs.shape[1:])] * 2
    assert [outputs[name].tolist() for name in names] == [[[place] * 2] * 2 for place in range(len(names))]
    assert set(model(inputs)) == set(names)  # the detector itself is as it was


def test_labelled_frames_are_scored_by_the_official_metric(subject: Subject) -> None:
    found = scored(subject, open_dataset(Path("scenes:2,seed=5")), ["onnxruntime"], 2)
    assert list(found) == [FULL, SIMULATION, "onnxruntime"]
    assert all(each.headline in each.total and len(each.frames) == 2 for each in found.values())
    with pytest.raises(InputError, match="no engine 'tensorrt'"):
        scored(subject, open_dataset(Path("scenes:2,seed=5")), ["tensorrt"], 2)
