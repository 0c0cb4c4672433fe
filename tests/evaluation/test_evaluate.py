"""A detector over a dataset: filed, resumed, scored, and what is missing named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.datasets.dataset import Dataset, open_dataset
from sfcore.datasets.layouts.culane import lanes_file
from sfcore.datasets.scenes import render
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import evaluate, predict, weights_hash
from sfcore.evaluation.metrics.culane import frame_counts

SCENARIOS = ("normal", "curve", "cross", "night", "normal")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return registry.create("ganet-tiny")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    scenes = (render(800_300 + i, scenario=scenario) for i, scenario in enumerate(SCENARIOS))
    write_scenes("culane", tmp_path / "data", "test", scenes)
    return open_dataset(tmp_path / "data")


def test_the_labels_themselves_score_one(dataset: Dataset, tmp_path: Path) -> None:
    filed = dataset.predictions(tmp_path / "labels")
    for frame in dataset.frames:
        label = dataset.label(frame)
        assert label is not None
        filed.write(frame, label.lanes, label, 1.0)
    found = evaluate(dataset, filed)
    assert found.total["f1"] == 1.0 and found.total["fp"] == found.total["fn"] == 0
    assert found.problems == {}
    assert list(found.scenarios) == ["normal", "curve", "cross", "night"]


def test_sums_over_scenarios_and_frames_are_the_total(detector: Detector, dataset: Dataset, tmp_path: Path) -> None:
    filed = dataset.predictions(tmp_path / "found")
    assert predict(detector, dataset, filed) == {}
    found = evaluate(dataset, filed)
    for count in ("tp", "fp", "fn"):
        assert sum(part[count] for part in found.scenarios.values()) == found.total[count]
        assert sum(frame[count] for frame in found.frames.values()) == found.total[count]
    frame = dataset.frames[1]
    label = dataset.label(frame)
    assert label is not None
    by_hand = frame_counts(filed.read(frame), label.lanes, (360, 640), 12)  # 30 px at 1640 are 12 at 640
    assert found.frames[frame.name] == {"tp": by_hand.tp, "fp": by_hand.fp, "fn": by_hand.fn}
    wrong = [found.frames[name]["fp"] + found.frames[name]["fn"] for name in found.worst(5)]
    assert wrong[0] == max(wrong)


def test_what_is_filed_is_not_predicted_again(detector: Detector, dataset: Dataset, tmp_path: Path) -> None:
    filed = dataset.predictions(tmp_path / "found")
    predict(detector, dataset, filed)
    files = [lanes_file(tmp_path / "found", frame.name) for frame in dataset.frames]
    before = filed.read(dataset.frames[3])
    files[3].unlink()
    steps: list[tuple[int, int]] = []
    predict(detector, dataset, dataset.predictions(tmp_path / "found"), lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    assert files[3].is_file()
    for again, line in zip(filed.read(dataset.frames[3]), before, strict=True):
        np.testing.assert_allclose(again, line, atol=0.01)  # batches of other sizes round differently


def test_missing_and_damaged_files_are_named_and_the_rest_scored(
    detector: Detector, dataset: Dataset, tmp_path: Path
) -> None:
    missing, cut, unlabelled = dataset.frames[0], dataset.frames[1], dataset.frames[3]
    missing.image.unlink()
    cut.image.write_bytes(cut.image.read_bytes()[:2000])
    unlabelled.image.with_suffix(".lines.txt").write_text("1 2 three 4\n")
    filed = dataset.predictions(tmp_path / "found")
    problems = predict(detector, dataset, filed)
    assert {missing.name, cut.name} <= problems.keys()
    assert "truncated" in problems[cut.name] and str(missing.image) in problems[missing.name]
    found = evaluate(dataset, filed)
    assert set(found.problems) == {missing.name, cut.name, unlabelled.name}
    assert "line 1" in found.problems[unlabelled.name]
    assert set(found.frames) == {dataset.frames[2].name, dataset.frames[4].name}


def test_a_detector_agrees_with_itself_whatever_the_labels_say(
    detector: Detector, dataset: Dataset, tmp_path: Path
) -> None:
    filed = dataset.predictions(tmp_path / "found")
    predict(detector, dataset, filed)
    found = evaluate(dataset, filed, reference=filed)
    assert found.total["f1"] == 1.0
    assert found.total["tp"] == evaluate(dataset, filed).total["tp"] + evaluate(dataset, filed).total["fp"]


def test_tusimple_datasets_are_scored_by_accuracy_and_agree_with_themselves(detector: Detector, tmp_path: Path) -> None:
    write_scenes("tusimple", tmp_path / "data", "test", (render(800_310 + i, (720, 1280)) for i in range(2)))
    dataset = open_dataset(tmp_path / "data")
    filed = dataset.predictions(tmp_path / "found")
    predict(detector, dataset, filed)
    found = evaluate(dataset, filed)
    assert found.metric == "tusimple" and found.headline == "accuracy"
    assert 0.8 < found.total["accuracy"] <= 1
    assert evaluate(dataset, filed, reference=filed).total["accuracy"] == 1


def test_an_unknown_metric_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"choose one of coco, culane, curvelanes, kitti, llamas, tusimple"):
        evaluate(dataset, dataset.predictions(tmp_path), metric="apollo")


def test_other_weights_have_another_hash(detector: Detector) -> None:
    other = registry.create("ganet-tiny")
    assert weights_hash(other) == weights_hash(detector)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    assert weights_hash(other) != weights_hash(detector)
