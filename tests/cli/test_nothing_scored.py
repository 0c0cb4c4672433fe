"""Where no frame could be scored there are no figures: not 1, not 0, and no success."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.layouts.culane import SCENARIOS, lanes_file
from sfcore.datasets.scenes import render
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.evaluation.evaluate import evaluate
from sfcore.evaluation.metric import METRICS, nothing_to_find
from sfcore.present.model_comparison import _defined
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes.agreement import agreement
from tests.cli.conftest import Command
from tests.tasks.lanes.test_agreement import lanes, vertical

LANE = "100 350 100 200\n"
UNDEFINED = ("precision", "recall", "f1")


@pytest.fixture
def culane(tmp_path: Path) -> Path:
    """Two rendered test images of the scenarios normal and night, with labels."""
    root = tmp_path / "culane"
    write_scenes("culane", root, "test", [render(5, (90, 160), "normal"), render(6, (90, 160), "night")])
    return root


def spoil(root: Path) -> None:
    for file in root.rglob("*.lines.txt"):
        file.write_text("1, 2, 3, 4\n")


def score(sfcore_: Command, *words: object) -> tuple[int, Any, str]:
    code, out, err = sfcore_(*words, "--json")
    return code, json.loads(out), err


def test_a_detector_on_damaged_labels_has_no_figures(sfcore_: Command, culane: Path, tmp_path: Path) -> None:
    spoil(culane)
    words = ("evaluate", "detector", "laneatt-tiny", "--dataset", culane, "--out", tmp_path / "out", "--allow-missing")
    code, found, err = score(sfcore_, *words)
    total = found["models"]["full"]["total"]
    assert code == 1 and "no frame could be scored" in err
    assert [total[key] for key in ("tp", "fp", "fn", *UNDEFINED)] == [0, 0, 0, None, None, None]
    assert {name: each["f1"] for name, each in found["models"]["full"]["scenarios"].items()} == {
        "normal": None,
        "night": None,
    }
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == found
    printed = sfcore_(*words)[1].splitlines()
    assert printed[1].split() == ["full", "labels", "0", "0", "0", "–", "–", "–"]
    assert printed[-3].split() == ["full", "labels", "–", "–"]


def test_a_scenario_of_which_nothing_is_scored_has_no_figures_and_the_others_have(
    sfcore_: Command, culane: Path, tmp_path: Path
) -> None:
    spoil(culane / "rendered_test" / "night")
    words = ("evaluate", "detector", "laneatt-tiny", "--dataset", culane, "--out", tmp_path / "out")
    assert sfcore_(*words, "--allow-missing")[0] == 0 and sfcore_(*words)[0] == 1
    found = score(sfcore_, *words)[1]["models"]["full"]
    assert found["scenarios"]["night"]["f1"] is None and found["scenarios"]["normal"]["f1"] == found["total"]["f1"]


def test_a_list_without_images_has_no_figures(sfcore_: Command, culane: Path, tmp_path: Path) -> None:
    for file in (culane / "list").rglob("*.txt"):
        file.write_text("\n")
    words = ("evaluate", "detector", "laneatt-tiny", "--dataset", culane, "--out", tmp_path / "out")
    code, found, err = score(sfcore_, *words)
    assert (code, found["models"]["full"]["total"]["f1"]) == (1, None) and "no frame could be scored" in err


@pytest.mark.parametrize("annotated", ["", "other"])
@pytest.mark.parametrize("predicted", [None, "", LANE])
def test_files_without_any_label_have_no_figures(
    sfcore_: Command, tmp_path: Path, predicted: str | None, annotated: str
) -> None:
    names = ["a/0.jpg", "a/1.jpg"]
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "test.txt").write_text("\n".join(names))
    for number, scenario in enumerate(SCENARIOS):
        (tmp_path / "list" / f"test{number}_{scenario}.txt").write_text("\n".join(names) if not number else "")
    for folder in ("found/a", "labels/other/a"):
        (tmp_path / folder).mkdir(parents=True)
    for name in names if predicted is not None else ():
        lanes_file(tmp_path / "found", name).write_text(predicted or "")
    folders = ("--predictions", tmp_path / "found", "--annotations", tmp_path / "labels" / annotated)
    words = ("evaluate", "culane", *folders, "--list", tmp_path / "list" / "test.txt", "--allow-missing")
    code, found, err = score(sfcore_, *words)
    assert code == 1 and "no frame could be scored" in err and found["problems"]
    for figures in (found["total"], found["scenarios"]["normal"]):
        assert [figures[key] for key in UNDEFINED] == [None] * 3
        assert (figures["tp"], figures["fn"]) == (0, 0) and figures["fp"] == (2 if predicted else 0)  # as officially
    lanes_file(tmp_path / "labels" / annotated, names[0]).parent.mkdir(exist_ok=True)
    lanes_file(tmp_path / "labels" / annotated, names[0]).write_text("")
    code, found, err = score(sfcore_, *words)
    assert code == 0 and "no frame" not in err
    assert found["total"]["f1"] == (0 if predicted else 1)  # scored: nothing to find, and nothing or two lanes found


def test_curvelanes_without_labels_or_sizes_has_no_figures(sfcore_: Command, tmp_path: Path) -> None:
    for folder in ("found", "labels"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.lines.json").write_text('{"Lines": []}')
    words = ("evaluate", "curvelanes", "--predictions", tmp_path / "found", "--annotations", tmp_path / "labels")
    code, found, err = score(sfcore_, *words, "--allow-missing")  # there is no image, so no size
    assert (code, found["total"]["f1"]) == (1, None) and "no frame could be scored" in err
    assert score(sfcore_, *words, "--size", "224x224")[:2] == (0, found | {"total": Counts().to_dict(), "problems": []})
    (tmp_path / "labels" / "a.lines.json").write_text("\0" * 9)
    code, found, err = score(sfcore_, *words, "--size", "224x224", "--allow-missing")
    assert (code, found["total"]["f1"]) == (1, None)


def test_tusimple_without_sound_labels_has_no_figures(sfcore_: Command, tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text('{"raw_file": "a.jpg", "lanes": [[1, 2]], "h_samples": [10]}\n')
    (tmp_path / "p.json").write_text('{"raw_file": "a.jpg", "lanes": [], "run_time": 1}\n')
    words = ("evaluate", "tusimple", "--predictions", tmp_path / "p.json", "--labels", tmp_path / "l.json")
    code, found, err = score(sfcore_, *words, "--allow-missing")
    assert code == 1 and "no frame could be scored" in err and len(found["problems"]) == 1
    assert [found[key] for key in ("accuracy", "fp", "fn", "f1", "images")] == [None] * 4 + [0]


def test_a_dataset_of_any_metric_has_undefined_figures_where_nothing_is_scored(culane: Path, tmp_path: Path) -> None:
    dataset = open_dataset(culane)
    for name in (name for name in METRICS if METRICS[name].task == dataset.task):
        found = evaluate(dataset, dataset.predictions(tmp_path / "none"), metric=name)
        assert math.isnan(found.total[found.headline]) and not found.frames and len(found.problems) == 2
        assert all(math.isnan(each["f1"]) for each in found.scenarios.values())
        assert _defined(found.scenarios, found.headline) == {"normal": None, "night": None}


def test_agreement_over_no_images_is_undefined() -> None:
    some = lanes(vertical(100))
    found = agreement(some[:0], some[:0])
    assert (found.images, found.tp, found.fp, found.fn) == (0, 0, 0, 0)
    assert all(math.isnan(value) for value in (found.precision, found.recall, found.f1, found.distortion, found.shift))
    assert found.to_dict()["f1"] is None


def test_nothing_to_find_is_told_from_nothing_scored() -> None:
    judge = METRICS["culane"]()
    assert nothing_to_find(judge.summary([{"tp": 0, "fp": 2, "fn": 0}])) and not nothing_to_find(judge.summary([]))
    assert judge.summary([{"tp": 0, "fp": 0, "fn": 0}])["f1"] == 1
