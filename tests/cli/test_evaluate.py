"""``sfcore evaluate``: the contracts of its JSON, exit codes, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.datasets.layouts.culane import SCENARIOS
from tests.cli.conftest import Command

FIGURES = {"tp", "fp", "fn", "precision", "recall", "f1"}


@pytest.fixture(scope="module")
def culane(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A straight lane at x = 800 in three labelled images, of two scenarios and a crossroad without lanes."""
    root = tmp_path_factory.mktemp("culane")
    files = {"a/0.jpg": "normal", "a/1.jpg": "night", "b/2.jpg": "cross"}
    (root / "list" / "test_split").mkdir(parents=True)
    (root / "list" / "test.txt").write_text("".join(f"/{name}\n" for name in files))
    for number, scenario in enumerate(SCENARIOS):
        names = "".join(f"/{name}\n" for name, kind in files.items() if kind == scenario)
        (root / "list" / "test_split" / f"test{number}_{scenario}.txt").write_text(names)
    for name, scenario in files.items():
        path = (root / name).with_suffix(".lines.txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if scenario == "cross" else "800 590 800 400 800 300\n")
    return root


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Found in the first image, 40 px beside it in the second, invented in the crossroad."""
    for name, x in (("a/0", 800), ("a/1", 840), ("b/2", 800)):
        path = tmp_path / "predictions" / f"{name}.lines.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{x} 590 {x} 400 {x} 300\n")
    return tmp_path / "predictions"


def words(culane: Path, predictions: Path) -> tuple[object, ...]:
    folders = ("--predictions", predictions, "--annotations", culane)
    return ("evaluate", "culane", *folders, "--list", culane / "list" / "test.txt")


def test_culane_counts_in_total_and_by_scenario(sfcore_: Command, culane: Path, predictions: Path) -> None:
    found = sfcore_.json(*words(culane, predictions))
    assert set(found["total"]) == FIGURES
    assert [found["total"][key] for key in ("tp", "fp", "fn")] == [1, 2, 1]
    assert found["total"]["f1"] == pytest.approx(2 / 5)
    assert list(found["scenarios"]) == ["normal", "cross", "night"]
    cross = found["scenarios"]["cross"]
    assert (cross["tp"], cross["fp"], cross["fn"], cross["precision"]) == (0, 1, 0, 0)


def test_culane_options_change_what_counts(sfcore_: Command, culane: Path, predictions: Path) -> None:
    wide = sfcore_.json(*words(culane, predictions), "--width", 100, "--iou", 0.4)
    assert wide["total"]["tp"] == 2  # 40 px apart and 100 px wide: an IoU of 60 / 140
    assert sfcore_.json(*words(culane, predictions), "--width", 100)["total"]["tp"] == 1
    outside = sfcore_.json(*words(culane, predictions), "--size", "700x590")
    assert outside["total"]["tp"] == 0  # all lanes are right of the image
    assert "no size: write WIDTHxHEIGHT" in sfcore_(*words(culane, predictions), "--size", "1640")[2]


def test_missing_predictions_are_named_and_make_the_command_fail(
    sfcore_: Command, culane: Path, predictions: Path
) -> None:
    (predictions / "a" / "0.lines.txt").unlink()
    code, out, err = sfcore_(*words(culane, predictions), "--json")
    assert code == 1
    found = json.loads(out)
    assert [found["total"][key] for key in ("tp", "fp", "fn")] == [0, 2, 2]  # as the official tool counts them
    assert len(found["problems"]) == 1 and "a/0.lines.txt" in found["problems"][0] and found["problems"][0] in err
    assert sfcore_(*words(culane, predictions), "--allow-missing")[0] == 0


def test_tusimple_figures(sfcore_: Command, tmp_path: Path) -> None:
    heights = list(range(240, 720, 10))
    label = {"raw_file": "clips/1/20.jpg", "lanes": [[500] * len(heights)], "h_samples": heights}
    guess = {"raw_file": "clips/1/20.jpg", "lanes": [[510] * len(heights), [900] * len(heights)], "run_time": 10}
    (tmp_path / "labels.json").write_text(json.dumps(label) + "\n")
    (tmp_path / "found.json").write_text(json.dumps(guess) + "\n")
    files = ("--predictions", tmp_path / "found.json", "--labels", tmp_path / "labels.json")
    found = sfcore_.json("evaluate", "tusimple", *files)
    assert [found[key] for key in ("accuracy", "fp", "fn")] == [1.0, 0.5, 0.0]
    assert found["f1"] == pytest.approx(2 * 0.5 / 1.5)
    (tmp_path / "found.json").write_text("")
    assert sfcore_("evaluate", "tusimple", *files)[0] == 1


def test_curvelanes_counts(sfcore_: Command, tmp_path: Path) -> None:
    for folder, shift in (("labels", 0), ("found", 5)):
        lanes = [[{"x": str(x + shift), "y": str(y)} for y in (700, 500, 300)] for x in (300, 900)]
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.lines.json").write_text(json.dumps({"Lines": lanes}))
    folders = ("--predictions", tmp_path / "found", "--annotations", tmp_path / "labels")
    found = sfcore_.json("evaluate", "curvelanes", *folders, "--size", "1280x720")
    assert set(found["total"]) == FIGURES and found["total"]["tp"] == 2
    code, _, err = sfcore_("evaluate", "curvelanes", *folders)
    assert code == 1 and "no readable image" in err


def test_a_detector_is_scored_on_a_dataset_and_again_from_what_is_filed(sfcore_: Command, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    sfcore_.json("scenes", "--layout", "culane", "--size", "640x360", "--count", 3, "--seed", 800_320, "--out", data)
    command = ("evaluate", "detector", "ganet-tiny", "--dataset", data, "--out", out)
    found = sfcore_.json(*command)
    assert set(found["models"]["full"]["total"]) == FIGURES
    assert found["metric"] == "culane" and found["images"] == 3 and found["problems"] == []
    assert len(found["models"]["full"]["worst"]) == 3
    assert json.loads((out / "scores.json").read_text()) == found
    assert sfcore_.json(*command) == found
    official = ("evaluate", "culane", "--predictions", out / "full", "--annotations", data, "--size", "640x360")
    counted = sfcore_.json(*official, "--list", data / "list" / "test.txt", "--width", 12)
    assert counted["total"] == found["models"]["full"]["total"]
    assert "holds predictions of another model" in sfcore_.error(*command[:2], "lstr-tiny", *command[3:])
    assert "has none of the layouts" in sfcore_.error(*command[:4], tmp_path, "--out", tmp_path / "other")


def test_a_run_is_scored_against_labels_and_against_full_precision(sfcore_: Command, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    sfcore_.json("scenes", "--layout", "tusimple", "--count", 2, "--seed", 800_310, "--out", data)
    images = sorted({str(path.parent) for path in data.rglob("*.jpg")})
    sources = tuple(word for image in images for word in ("--images", image))
    method = ("--method", "netwise", "--iterations", 2)
    sfcore_.json("tune", "ganet-tiny", *sources, "--bits", "W8A8", "--out", run, *method)
    found = sfcore_.json("evaluate", "run", run, "--dataset", data, "--out", tmp_path / "out")
    assert list(found["models"]) == ["full", "calibrated", "tuned"]
    assert "agreement" not in found["models"]["full"]
    agreement = found["models"]["calibrated"]["agreement"]["total"]
    assert set(agreement) == {"accuracy", "fp", "fn", "f1"} and agreement["accuracy"] > 0.5
    text = sfcore_("evaluate", "run", run, "--dataset", data, "--out", tmp_path / "out")[1]
    assert [line.split()[:2] for line in text.splitlines()[1:6]] == [
        ["full", "labels"],
        ["calibrated", "labels"],
        ["calibrated", "full"],
        ["tuned", "labels"],
        ["tuned", "full"],
    ]
