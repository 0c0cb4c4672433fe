"""The TuSimple metric, on cases worked out by hand, on the official tool's scores and on the published detector."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import Label, open_dataset
from sfcore.datasets.images import read_image
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.metrics.tusimple import Columns, TuSimple, evaluate_files, score_frames
from tests.evaluation.tusimple_cases import Entry, case, usual_case

HEIGHTS = np.arange(160.0, 720.0, 10.0)  # 56 of them
RECORDED = Path(__file__).parent / "recorded" / "tusimple.npz"


def lanes(*columns: float) -> np.ndarray:
    """Vertical lanes from the first height to the last."""
    return np.array([np.full(56, x) for x in columns]).reshape(-1, 56)


def scores(guess: np.ndarray, truth: np.ndarray, milliseconds: float = 0.0) -> list[float]:
    """Accuracy, false positives and false negatives of one frame."""
    return score_frames([Columns(guess, truth, HEIGHTS, milliseconds)])[0].tolist()


def write(path: Path, entries: list[Entry]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_exact_lanes_score_full() -> None:
    assert scores(lanes(100, 400), lanes(100, 400)) == [1, 0, 0]


def test_points_are_right_within_20_pixels() -> None:
    assert scores(lanes(119.9), lanes(100)) == [1, 0, 0]
    assert scores(lanes(120), lanes(100)) == [0, 1, 1]


def test_slanted_lanes_get_a_wider_limit() -> None:
    slanted = 2 * HEIGHTS[None]  # dx/dy = 2: 20 * sqrt(5) = 44.7 px
    assert scores(slanted + 44, slanted)[0] == 1
    assert scores(slanted + 45, slanted)[0] == 0


def test_points_absent_from_both_are_right_and_absent_from_one_are_wrong() -> None:
    truth, guess = lanes(100), lanes(100)
    truth[0, :14], guess[0, :28] = -2, -100  # 14 of 56 points are missing
    assert scores(guess, truth) == [0.75, 1, 1]  # under 85 %


def test_false_and_missed_lanes() -> None:
    assert scores(lanes(100, 700), lanes(100, 400)) == [0.5, 0.5, 0.5]
    assert scores(lanes(), lanes(100)) == [0, 0, 1]
    assert scores(lanes(), lanes()) == [0, 0, 0]
    assert scores(lanes(5, 9), lanes()) == [0, 1, 0]


def test_the_worst_of_five_lanes_is_forgiven() -> None:
    assert scores(lanes(100, 300, 500, 700), lanes(100, 300, 500, 700, 900)) == [1, 0, 0]
    assert scores(lanes(100, 300), lanes(100, 300, 500, 700, 900)) == [0.5, 0, 0.5]


def test_over_two_lanes_too_many_or_200_ms_score_nothing() -> None:
    assert scores(lanes(100, 300, 500), lanes(100))[0] == 1
    assert scores(lanes(100, 300, 500, 700), lanes(100)) == [0, 0, 1]
    assert scores(lanes(100), lanes(100), 200) == [1, 0, 0]
    assert scores(lanes(100), lanes(100), 200.01) == [0, 0, 1]


def test_frames_of_all_heights_are_scored_at_once_as_one_by_one() -> None:
    frames = [columns(index) for index in range(64)]
    together = score_frames(frames)
    assert together.tolist() == [score_frames([frame])[0].tolist() for frame in frames]
    assert len({len(frame.heights) for frame in frames}) == 4


def columns(index: int) -> Columns:
    truth, guess = case(index)
    heights = np.array(truth["h_samples"], float)
    each = (np.array(entry["lanes"], float).reshape(-1, len(heights)) for entry in (guess, truth))
    return Columns(*each, heights, guess["run_time"])


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_files_score_as_the_official_tool_scores_them(tmp_path: Path, count: int) -> None:
    """lane.py of TuSimple/tusimple-benchmark at d1f5ef1 (its ``bench``, Python 3.11, scikit-learn 1.9)."""
    truths, guesses = zip(*(case(index) for index in range(count)), strict=True)
    shuffled = [guesses[i] for i in np.random.default_rng(0).permutation(count)]
    found = evaluate_files(write(tmp_path / "p.json", shuffled), write(tmp_path / "l.json", list(truths)))
    with np.load(RECORDED) as recorded:
        assert np.abs(found.scores - recorded["scores"][:count]).max() < 1e-12
    assert found.names == [truth["raw_file"] for truth in truths] and found.problems == []
    assert found.late == sum(guess["run_time"] > 200 for guess in guesses) > count // 20


def test_what_is_wrong_with_files_is_listed_and_the_rest_is_scored(tmp_path: Path) -> None:
    truths = [usual_case(index)[0] for index in range(8)]
    guesses = [{**truth, "run_time": 1} for truth in truths]
    names = [truth["raw_file"] for truth in truths]
    guesses[1]["lanes"] = [lane[:-1] for lane in truths[1]["lanes"]]  # one value short
    del guesses[2]  # missing
    guesses += [guesses[0], {**guesses[0], "raw_file": "clips/unknown.jpg"}]
    del guesses[-3]["run_time"]  # of the last frame
    labels = write(tmp_path / "l.json", truths)
    bad = json.dumps(truths[4])
    labels.write_text(labels.read_text().replace(bad, bad.replace("h_samples", "heights")))
    predictions = write(tmp_path / "p.json", guesses)
    predictions.write_text("nonsense\n" + predictions.read_text())

    found = evaluate_files(predictions, labels)
    assert found.names == names[:4] + names[5:]
    assert found.scores[:, 0].tolist() == [1, 0, 0, 1, 1, 1, 0]
    said = "\n".join(found.problems)
    assert len(found.problems) == 7
    for part in (
        "line 1 of .*p.json is no TuSimple prediction: b'nonsense",
        f"line 9 of .*p.json repeats {names[0]} of line 2",
        "l.json has no frame clips/unknown.jpg of .*p.json",
        "line 3 of .*p.json is no TuSimple prediction .each lane must have",
        f"p.json has no prediction of {names[2]}",
        "line 5 of .*l.json is no TuSimple label .no 'h_samples'",
        "line 8 of .*p.json is no TuSimple prediction .no 'run_time'",
    ):
        assert re.search(part, said), part
    with pytest.raises(InputError, match=r"there is no file .*none\.json"):
        evaluate_files(tmp_path / "none.json", labels)


def test_figures_are_means_and_f1_is_that_of_precision_and_recall() -> None:
    metric = METRICS["tusimple"]()
    frames = [{"accuracy": 1.0, "fp": 0.0, "fn": 0.25}, {"accuracy": 0.5, "fp": 0.5, "fn": 0.25}]
    figures = metric.summary(frames)
    assert (figures["accuracy"], figures["fp"], figures["fn"]) == (0.75, 0.25, 0.25)
    assert figures["f1"] == pytest.approx(0.75)
    assert metric.summary([{"accuracy": 0.0, "fp": 1.0, "fn": 1.0}])["f1"] == 0
    with pytest.raises(InputError, match="no frame could be scored"):
        metric.summary([])


def test_lanes_without_heights_are_refused() -> None:
    with pytest.raises(InputError, match="the label has no heights"):
        TuSimple().frame([], Label([]), (720, 1280))


def test_the_published_detector_scores_as_published(real_data: Path, lstr: Detector) -> None:
    dataset, metric = open_dataset(real_data / "tusimple6"), TuSimple()
    images = [read_image(frame.image) for frame in dataset.frames]
    found = [
        metric.frame(guess.polylines(0), dataset.label(frame), (720, 1280))
        for guess, frame in zip(lstr.detect(images), dataset.frames, strict=True)
    ]
    figures = metric.summary(found)
    assert len(found) == 6 and figures["accuracy"] == pytest.approx(0.9635, abs=0.002)
    assert (figures["fp"], figures["fn"], figures["f1"]) == (0, 0, 1)
