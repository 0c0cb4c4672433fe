"""A detector of boxes in images goes through the commands: found, scored against COCO's labels, tuned, compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.bench.cell import _judged
from sfcore.bench.sources import Source, unseen
from sfcore.datasets.dataset import open_dataset
from sfcore.detectors import registry
from sfcore.detectors.contract import broken, checks_of, subject
from sfcore.present.model_comparison import compare_models
from tests.cli.conftest import Command


@pytest.fixture
def spots(weights: Path) -> tuple[object, ...]:
    return ("spots", "--weights", weights)


def test_it_keeps_the_promises_of_its_task(weights: Path) -> None:
    detector = registry.create("spots", weights)
    on = subject(detector, None)
    assert {text: broken(check, on) for text, check in checks_of(detector).items()} == dict.fromkeys(
        checks_of(detector)
    )


def test_boxes_are_in_pixels_of_the_original(sfcore_: Command, spots: tuple[object, ...], squares: Path) -> None:
    (found,) = sfcore_.json("detect", *spots, squares / "val" / "03.png")["images"]
    assert (found["width"], found["height"]) == (128, 128)
    (box,) = found["boxes"]  # the dim square is too unsure
    assert set(box) == {"score", "label", "box"} and box["label"] == "spot" and box["score"] > 0.9
    assert box["box"] == pytest.approx([48, 16, 64, 32], abs=0.2)


def test_a_detector_is_scored_by_ap_over_all_confidences(
    sfcore_: Command, spots: tuple[object, ...], squares: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("evaluate", "detector", *spots, "--dataset", squares, "--out", out)
    found = sfcore_.json(*command)
    assert found["metric"] == "coco" and found["problems"] == []
    assert found["models"]["full"]["total"]["ap50"] == pytest.approx(1.0)  # the dim squares are found, too
    results = json.loads((out / "full" / "results.json").read_text())
    assert len(results) == 18 and {each["category_id"] for each in results} == {5}
    assert sfcore_.json(*command) == found


def test_a_dataset_of_another_task_is_refused(sfcore_: Command, squares: Path, tmp_path: Path) -> None:
    said = sfcore_.error("evaluate", "detector", "ganet-tiny", "--dataset", squares, "--out", tmp_path / "out")
    assert "has labels of boxes, and the detector finds lanes" in said
    said = sfcore_.error("evaluate", "detector", "ganet-tiny", "--dataset", squares / "val", "--out", tmp_path / "out")
    assert "has no labels, and the detector finds lanes" in said


def test_a_dataset_of_other_classes_and_a_metric_of_another_task_are_refused(
    sfcore_: Command, spots: tuple[object, ...], squares: Path, tmp_path: Path
) -> None:
    command = ("evaluate", "detector", *spots, "--dataset")
    said = sfcore_.error(*command, squares, "--metric", "culane", "--out", tmp_path / "out")
    assert "culane is no metric of boxes: choose one of coco" in said
    file = squares / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    other = tmp_path / "other"
    (other / "annotations").mkdir(parents=True)
    (other / "val").symlink_to(squares / "val")
    (other / "annotations" / file.name).write_text(json.dumps(content | {"categories": [{"id": 5, "name": "tram"}]}))
    assert "the detector knows spot, and labelled are tram" in sfcore_.error(*command, other, "--out", tmp_path / "b")


def test_runs_are_compared_by_agreement_and_ap(
    sfcore_: Command, spots: tuple[object, ...], squares: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    sfcore_.json("tune", *spots, "--images", squares, "--bits", "W8A8", "--method", "calibrate", "--out", run)
    found = sfcore_.json("compare", run, "--images", squares)
    assert set(found["calibrated"]) >= {"f1", "distortion", "shift_px", "ap", "ap50", "ap75"}
    assert found["full"]["ap50"] == pytest.approx(1.0) and 0.5 < found["calibrated"]["ap50"] <= 1
    columns = sfcore_("compare", run, "--images", squares)[1].splitlines()[0].split()
    assert columns == ["images", "count", "model", "f1", "distortion", "shift_px", "ap", "ap50", "ap75"]
    unlabelled = sfcore_.json("compare", run, "--images", squares / "val")
    assert "full" not in unlabelled and "ap" not in unlabelled["calibrated"]
    scored = sfcore_.json("evaluate", "run", run, "--dataset", squares, "--out", tmp_path / "out")
    assert scored["models"]["calibrated"]["total"]["ap"] == pytest.approx(found["calibrated"]["ap"], abs=1e-3)
    assert scored["models"]["calibrated"]["agreement"]["total"]["ap50"] > 0.5


def test_benches_and_pages_judge_by_the_same_labels(weights: Path, squares: Path) -> None:
    detector = registry.create("spots", weights)
    prediction, ap = _judged(detector, unseen(Source("squares", (str(squares),))))
    assert ap is not None and ap > 0.9 and prediction.counts().tolist() == [1] * 12
    dataset = open_dataset(squares)
    compared = compare_models(detector.task, dataset, dataset.frames, {"full precision": prediction}, {})
    scores = compared.scores["full precision"]
    assert compared.labelled and scores.labels and scores.labels.total["ap50"] == pytest.approx(0.67, abs=0.01)
    assert scores.agreement.f1 == 1.0 and len(scores.worst("labels")) == 12
    lanes = registry.create("ganet-tiny").task
    assert dataset.labelled(lanes.name) is None
