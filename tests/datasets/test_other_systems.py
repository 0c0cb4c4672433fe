"""Lists and labels as other systems and programs write them: read rightly, or named; never taken for something else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import Dataset, layout_of, open_dataset
from sfcore.datasets.layouts import curvelanes, llamas
from sfcore.datasets.layouts.culane import SCENARIOS, CULane, parse_lanes, read_lanes
from sfcore.datasets.numbers import number, numbers, points
from sfcore.errors import InputError
from sfcore.evaluation.metrics.tusimple import evaluate_files

NAMES = ["道路/0.jpg", "b/1.jpg", "c d/2.jpg"]
GBK = os.fsdecode("道路".encode("gbk"))
# How a text that was written on Unix comes back from other programs.
WRITTEN: dict[str, Callable[[str], bytes]] = {
    "mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-32": lambda text: text.encode("utf-32"),
    "windows": lambda text: text.replace("\n", "\r\n").encode(),
    "windows and utf-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "old mac": lambda text: text.replace("\n", "\r").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "spaces": lambda text: text.replace("\n", " \t\n").encode(),
}


def names(dataset: Dataset) -> list[str]:
    return [frame.name for frame in dataset.frames]


@pytest.fixture
def culane(tmp_path: Path) -> Path:
    """Three test images, of the scenarios normal, crowd and normal, with one lane each."""
    (tmp_path / "list" / "test_split").mkdir(parents=True)
    (tmp_path / "list" / "test.txt").write_text("".join(f"/{name}\n" for name in NAMES))
    for place, scenario in enumerate(SCENARIOS):
        listed = {"normal": [NAMES[0], NAMES[2]], "crowd": [NAMES[1]]}.get(scenario, [])
        (tmp_path / "list" / "test_split" / f"test{place}_{scenario}.txt").write_text("".join(f"{n}\n" for n in listed))
    for name in NAMES:
        path = tmp_path / Path(name).with_suffix(".lines.txt")
        path.parent.mkdir(exist_ok=True)
        path.write_text("1 20 3.5 10\n5 20 6e0 +10\n")
    return tmp_path


@pytest.mark.parametrize("how", WRITTEN)
def test_culane_lists_and_labels_are_read_whoever_wrote_them(culane: Path, how: str) -> None:
    for file in [*culane.rglob("*.txt")]:
        if file.stat().st_size:
            file.write_bytes(WRITTEN[how](file.read_text()))
    dataset = open_dataset(culane)
    assert names(dataset) == NAMES and dataset.problems == []
    assert [frame.scenario for frame in dataset.frames] == ["normal", "crowd", "normal"]
    for frame in dataset.frames:
        label = dataset.label(frame)
        assert label and [lane.tolist() for lane in label.lanes] == [[[1, 20], [3.5, 10]], [[5, 20], [6, 10]]]


def test_windows_separators_lead_to_the_same_files(culane: Path) -> None:
    for file in (culane / "list").rglob("*.txt"):
        file.write_text(file.read_text().replace("/", "\\"))
    dataset = open_dataset(culane)
    assert names(dataset) == NAMES and dataset.problems == []
    (culane / "e\\f.jpg").write_bytes(b"")
    (culane / "list" / "val.txt").write_text("e\\f.jpg\n")
    assert names(open_dataset(culane, "val")) == ["e\\f.jpg"]  # a file has it in its name


def test_names_of_another_encoding_lead_to_the_files_that_have_them(culane: Path) -> None:
    (culane / GBK).mkdir()
    (culane / GBK / "0.lines.txt").write_text("1 2 3 4\n")
    (culane / "list" / "val.txt").write_bytes("/道路/0.jpg\n".encode("gbk"))
    dataset = open_dataset(culane, "val")
    assert len(dataset.label(dataset.frames[0]).lanes) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(bytes(64), "filled with NUL"), (b"b/1.jpg\n" + bytes(64), "holds NUL"), ("b/1.jpg".encode("utf-16-le"), "NUL")],
)
def test_what_a_power_cut_left_of_a_list_is_named(culane: Path, content: bytes, said: str) -> None:
    (culane / "list" / "test_split" / "test1_crowd.txt").write_bytes(content)
    dataset = open_dataset(culane)
    assert len(dataset.problems) == 1 and "test1_crowd.txt" in dataset.problems[0] and said in dataset.problems[0]
    (culane / "list" / "test.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"test\.txt .*{said}"):
        open_dataset(culane)


@pytest.mark.parametrize("content", [bytes(64), b"1 2 3 4\n" + bytes(9)])
def test_what_a_power_cut_left_of_labels_is_named(culane: Path, content: bytes) -> None:
    (culane / "b" / "1.lines.txt").write_bytes(content)
    dataset = open_dataset(culane)
    with pytest.raises(InputError, match=r"1\.lines\.txt .*NUL"):
        dataset.label(dataset.frames[1])


def test_images_named_twice_or_of_two_scenarios_or_of_none_are_named(culane: Path) -> None:
    (culane / "list" / "test.txt").write_text("".join(f"{name}\n" for name in [*NAMES, NAMES[1]]))
    dataset = open_dataset(culane)
    assert names(dataset) == NAMES
    assert [problem for problem in dataset.problems if "1 images more than once, such as b/1.jpg" in problem]
    crowd = culane / "list" / "test_split" / "test1_crowd.txt"
    crowd.write_text("".join(f'"{name}"\n' for name in NAMES[1:2]))
    assert "1 of 3 images are in no list of a scenario, such as b/1.jpg" in CULane.open(culane).problems[-1]
    crowd.write_text(f"{NAMES[1]}\n{NAMES[2]}\n")
    assert "names c d/2.jpg, which is in the list of normal" in CULane.open(culane).problems[-1]


@pytest.mark.parametrize(
    "line",
    [
        "1,5 2 3 4",
        "1 2, 3 4",
        "1_0 2 3 4",
        "１ ２ ３ ４",
        "1\u00a02\u00a03\u00a04",
        "1 null 3 4",
        "1e999 2 3 4",
        '"1" 2 3 4',
    ],
)
def test_numbers_that_are_written_oddly_are_damage(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.lines.txt").write_text(f"9 9 8 8\n{line}\n")
    assert read_lanes(tmp_path / "a.lines.txt")[1] == [2]


def test_a_line_end_within_a_line_is_damage_because_it_may_be_two_lanes() -> None:
    lanes, damaged = parse_lanes("1 2 3 4\r5 6 7 8\n9 9 8 8\n")
    assert [len(lane) for lane in lanes] == [4, 2] and damaged == [1]
    assert [len(lane) for lane in parse_lanes("1 2 3 4\r5 6 7 8\r")[0]] == [2, 2]


HEIGHTS = [10, 20, 30]


def label(name: str, lanes: Any, heights: Any = HEIGHTS, **more: Any) -> str:
    return json.dumps({"raw_file": name, "lanes": lanes, "h_samples": heights, **more}, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("how", WRITTEN)
def test_tusimple_files_are_indexed_and_read_whoever_wrote_them(tmp_path: Path, how: str) -> None:
    (tmp_path / "label_data_0313.json").write_text(label("clips/0.jpg", [[1, 2, 3]]))
    text = (
        label("clips/道路.jpg", [[4, 5, 6], [-2, 7, 8]]) + label("clips/2.jpg", []) + label("clips/3.jpg", [[1, 1, 1]])
    )
    (tmp_path / "label_data_0531.json").write_bytes(WRITTEN[how](text))
    dataset = open_dataset(tmp_path, "train")
    assert names(dataset) == ["clips/0.jpg", "clips/道路.jpg", "clips/2.jpg", "clips/3.jpg"] and dataset.problems == []
    columns = [dataset.label(frame).columns.tolist() for frame in dataset.frames]
    assert columns == [[[1, 2, 3]], [[4, 5, 6], [-2, 7, 8]], [], [[1, 1, 1]]]


@pytest.mark.parametrize("content", [b"", bytes(4096), b"\xef\xbb\xbf", b"[]\n", b"\r\n"])
def test_a_tusimple_file_of_nothing_is_named_instead_of_vanishing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "label_data_0313.json").write_text(label("clips/0.jpg", [[1, 2, 3]]))
    (tmp_path / "label_data_0531.json").write_bytes(content)
    (tmp_path / "._label_data_0601.json").write_bytes(b"left behind")
    (tmp_path / "label_data_0701.json").mkdir()
    dataset = open_dataset(tmp_path, "train")
    assert names(dataset) == ["clips/0.jpg"]
    assert len(dataset.problems) == 1 and "label_data_0531.json" in dataset.problems[0]


def test_null_is_no_point_in_tusimple_labels_and_predictions(tmp_path: Path) -> None:
    (tmp_path / "test_label.json").write_text(label("a.jpg", [[None, 20, "30"], [None] * 3]))
    dataset = open_dataset(tmp_path)
    found = dataset.label(dataset.frames[0])
    assert found.columns.tolist() == [[-2, 20, 30], [-2] * 3]
    assert [lane.tolist() for lane in found.lanes] == [[[20, 20], [30, 30]]]
    (tmp_path / "found.json").write_text(label("a.jpg", [[None, 20, 30]], run_time=1))
    scores = evaluate_files(tmp_path / "found.json", tmp_path / "test_label.json")
    (tmp_path / "test_label.json").write_text(label("a.jpg", [[-2, 20, 30], [-2] * 3]))
    (tmp_path / "found.json").write_text(label("a.jpg", [[-2, 20, 30]], run_time=1))
    again = evaluate_files(tmp_path / "found.json", tmp_path / "test_label.json")
    assert scores.scores.tolist() == again.scores.tolist() and not scores.problems


@pytest.mark.parametrize(
    ("lanes", "heights"),
    [
        ([[1, 2]], HEIGHTS),
        ([[1, 2, 3, 4]], HEIGHTS),
        ([[1, 2, True]], HEIGHTS),
        ([[1, 2, "3,5"]], HEIGHTS),
        ([[1, 2, "nan"]], HEIGHTS),
        ([[1, 2, [3]]], HEIGHTS),
        (["123"], HEIGHTS),
        ({}, HEIGHTS),
        (None, HEIGHTS),
        ([None], HEIGHTS),
        ([[1, 2, 10**400]], HEIGHTS),
        ([], None),
        ([], []),
        ([], [10, None, 30]),
        ([[1, 2, 3]], [[10], [20], [30]]),
    ],
)
def test_damaged_tusimple_labels_are_named(tmp_path: Path, lanes: Any, heights: Any) -> None:
    (tmp_path / "test_label.json").write_text(label("a.jpg", lanes, heights))
    dataset = open_dataset(tmp_path)
    with pytest.raises(InputError, match=r"line 1 of .*test_label\.json is no TuSimple label"):
        dataset.label(dataset.frames[0])


def test_tusimple_images_are_found_by_the_paths_of_windows(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "0.jpg").write_bytes(b"")
    more = label("b.jpg", [], local_image="D:\\labels\\0001.png")
    (tmp_path / "test_label.json").write_text(label("clips\\0.jpg", []) + more)
    assert [frame.image for frame in open_dataset(tmp_path).frames] == [tmp_path / "clips/0.jpg", tmp_path / "0001.png"]


def test_a_frame_of_two_tusimple_files_is_named(tmp_path: Path) -> None:
    for name in ("label_data_0313.json", "label_data_0531.json"):
        (tmp_path / name).write_text(label("clips/0.jpg", []))
    assert "1 images more than once, such as clips/0.jpg" in open_dataset(tmp_path, "train").problems[0]


def test_predictions_are_not_added_to_a_file_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "test_label.json").write_text(label("a.jpg", []) + label("b.jpg", []))
    dataset, path = open_dataset(tmp_path), tmp_path / "found.json"
    path.write_bytes(label("a.jpg", [], run_time=1).encode("utf-16"))
    filed = dataset.predictions(path)
    assert filed.done() == {"a.jpg"} and filed.read(dataset.frames[0]) == []
    with pytest.raises(InputError, match=r"found\.json was written by another program"):
        filed.write(dataset.frames[1], [], None, 1)
    path.write_bytes(b"\xef\xbb\xbf" + label("a.jpg", [], run_time=1).encode())
    filed = dataset.predictions(path)
    filed.write(dataset.frames[1], [], None, 1)
    assert dataset.predictions(path).done() == {"a.jpg", "b.jpg"} and not dataset.predictions(path).problems


CURVE = {"Lines": [[{"x": "1.5", "y": 20}, {"x": "3", "y": "1e1"}], []]}


@pytest.mark.parametrize("how", WRITTEN)
def test_curvelanes_labels_and_lists_are_read_whoever_wrote_them(tmp_path: Path, how: str) -> None:
    (tmp_path / "valid" / "labels").mkdir(parents=True)
    (tmp_path / "valid" / "images").mkdir()
    (tmp_path / "valid" / "valid.txt").write_bytes(WRITTEN[how]("images/道路.jpg\nimages/b.jpg\n"))
    for name in ("道路", "b", "._b"):
        path = tmp_path / "valid" / "labels" / f"{name}.lines.json"
        path.write_bytes(WRITTEN[how](json.dumps(CURVE, indent=1) + "\n"))
        (tmp_path / "valid" / "images" / f"{name}.jpg").write_bytes(b"")
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["images/道路.jpg", "images/b.jpg"] and not dataset.problems
    assert [lane.tolist() for lane in dataset.label(dataset.frames[0]).lanes] == [[[1.5, 20], [3, 10]]]
    assert curvelanes.labelled_names(tmp_path / "valid" / "labels") == ["images/b.jpg", "images/道路.jpg"]
    (tmp_path / "valid" / "valid.txt").unlink()
    assert names(open_dataset(tmp_path)) == ["images/b.jpg", "images/道路.jpg"]


@pytest.mark.parametrize(
    "content",
    [
        '{"Lines": {}}',
        '{"Lines": null}',
        '{"Lines": ""}',
        '{"Lines": [null]}',
        '{"Lines": [{}]}',
        '{"Lines": [[null]]}',
        '{"Lines": [[{"x": null, "y": 1}]]}',
        '{"Lines": [[{"x": "1,5", "y": 1}]]}',
        '{"Lines": [[{"x": true, "y": 1}]]}',
        '{"Lines": [[{"x": "1_0", "y": 1}]]}',
        '{"Lines": [[{"x": NaN, "y": 1}]]}',
        '{"Lines": [[{"x": 1e999, "y": 1}]]}',
        '{"Lines": []}' + "\0" * 9,
        "[" * 100_000,
    ],
    ids=range(14),
)
def test_damaged_curvelanes_labels_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.lines.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.lines\.json"):
        curvelanes.read_lanes(tmp_path / "a.lines.json")


def marker(top: Any, bottom: Any, z: Any = 5) -> dict[str, Any]:
    return {
        "pixel_start": {"x": 500, "y": bottom},
        "pixel_end": {"x": 510, "y": top},
        "world_start": {"z": z},
    }


def write_llamas(path: Path, *lanes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"lanes": [{"lane_id": name, "markers": markers} for name, markers in lanes]}))
    return path


@pytest.mark.parametrize("how", WRITTEN)
def test_llamas_labels_are_read_whoever_wrote_them(tmp_path: Path, how: str) -> None:
    path = write_llamas(tmp_path / "labels" / "valid" / "a" / "0.json", ("l0", [marker(400, 450), marker(550, 600)]))
    expected = [lane.tolist() for lane in llamas.read_lanes(path)]
    path.write_bytes(WRITTEN[how](path.read_text()))
    (path.parent / "._0.json").write_bytes(b"left behind")
    (tmp_path / "labels" / "valid" / "__MACOSX").mkdir()
    (tmp_path / "labels" / "valid" / "__MACOSX" / "0.json").write_bytes(b"left behind")
    (tmp_path / "color_images" / "valid").mkdir(parents=True)
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["a/0.png"]
    assert [lane.tolist() for lane in dataset.label(dataset.frames[0]).lanes] == expected and expected


def test_an_image_without_a_label_and_a_label_without_an_image_are_frames_that_lack_it(tmp_path: Path) -> None:
    write_llamas(tmp_path / "llamas" / "labels" / "valid" / "a" / "0.json", ("l0", SOUND))
    (tmp_path / "llamas" / "color_images" / "valid" / "a").mkdir(parents=True)
    (tmp_path / "llamas" / "color_images" / "valid" / "a" / "1_color_rect.png").write_bytes(b"")
    (tmp_path / "curve" / "valid" / "labels").mkdir(parents=True)
    (tmp_path / "curve" / "valid" / "labels" / "0.lines.json").write_text(json.dumps(CURVE))
    (tmp_path / "curve" / "valid" / "images").mkdir()
    (tmp_path / "curve" / "valid" / "images" / "1.png").write_bytes(b"")
    for folder, listed in (("llamas", ["a/0.png", "a/1.png"]), ("curve", ["images/0.jpg", "images/1.png"])):
        dataset = open_dataset(tmp_path / folder)
        assert names(dataset) == listed and len(dataset.label(dataset.frames[0]).lanes) == 1
        with pytest.raises(InputError, match="there is no readable image"):
            dataset.size(dataset.frames[0])
        with pytest.raises(InputError, match="there is no"):
            dataset.label(dataset.frames[1])


SOUND = [marker(400, 450), marker(550, 600)]


@pytest.mark.parametrize("bad", [None, "nan", "6e0x", True, 1e12, "1e999", [], {}])
def test_damaged_markers_of_llamas_are_named(tmp_path: Path, bad: Any) -> None:
    for more in (marker(bad, 700), marker(600, bad)):
        with pytest.raises(InputError, match=r"0\.json is no LLAMAS label"):
            llamas.read_lanes(write_llamas(tmp_path / "0.json", ("l0", [*SOUND, more])))


@pytest.mark.parametrize(
    "lanes",
    [
        [("l0", None)],
        [("l0", {})],
        [(None, SOUND)],
        [("", SOUND)],
        [("l0", [*SOUND, marker(650, 700, None)])],
        [("l0", SOUND), ("l0", SOUND)],
    ],
)
def test_damaged_lanes_of_llamas_are_named(tmp_path: Path, lanes: Any) -> None:
    with pytest.raises(InputError, match=r"0\.json is no LLAMAS label"):
        llamas.read_lanes(write_llamas(tmp_path / "0.json", *lanes))


SCENES = [{"file": "a.png", "lanes": [[[1, 20], [3, 10]]], "scenario": "夜"}, {"file": "b.png", "lanes": []}]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((10, 20, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize("how", WRITTEN)
def test_labels_of_scenes_are_read_whoever_wrote_them(scenes: Path, how: str) -> None:
    text = json.dumps(SCENES, ensure_ascii=False, indent=1) + "\n"
    (scenes / "labels.json").write_bytes(WRITTEN[how](text))
    dataset = open_dataset(scenes)
    assert names(dataset) == ["a.png", "b.png"] and dataset.problems == [] and dataset.scenarios == ("夜",)
    assert [lane.tolist() for lane in dataset.label(dataset.frames[0]).lanes] == [[[1, 20], [3, 10]]]


@pytest.mark.parametrize("content", [b"", bytes(99), b"\xef\xbb\xbf", json.dumps(SCENES).encode() + bytes(9)])
def test_what_a_power_cut_left_of_the_labels_of_scenes_is_no_folder_without_labels(
    scenes: Path, content: bytes
) -> None:
    (scenes / "labels.json").write_bytes(content)
    dataset = open_dataset(scenes)
    assert (layout_of(scenes), names(dataset)) == ("scenes", [])
    assert len(dataset.problems) == 1 and "labels.json" in dataset.problems[0]


def test_scenes_that_are_repeated_or_followed_by_more_are_named(scenes: Path) -> None:
    (scenes / "labels.json").write_text(json.dumps([*SCENES, {"file": "a.png", "lanes": []}]))
    dataset = open_dataset(scenes)
    assert names(dataset) == ["a.png", "b.png"] and "repeats a.png" in dataset.problems[0]
    assert len(dataset.label(dataset.frames[0]).lanes) == 1
    (scenes / "labels.json").write_text(json.dumps(SCENES) + "[]")
    assert "labels.json is damaged after 2 scenes" in open_dataset(scenes).problems[0]
    (scenes / "labels.json").write_text(json.dumps([SCENES[0], {"file": None, "lanes": []}]))
    assert "labels.json is damaged after 1 scenes" in open_dataset(scenes).problems[0]


@pytest.mark.parametrize("lanes", [None, {}, [None], [[[1, None]]], [[[1, "2,5"]]], [[1, 2, 3, 4]], [[[1, 2, 3]]]])
def test_damaged_lanes_of_scenes_are_named(scenes: Path, lanes: Any) -> None:
    (scenes / "labels.json").write_text(json.dumps([{"file": "a.png", "lanes": lanes}]))
    dataset = open_dataset(scenes)
    with pytest.raises(InputError, match=r"lanes of a\.png in .*labels\.json are damaged"):
        dataset.label(dataset.frames[0])


def test_numbers_are_read_where_they_are_certain() -> None:
    values = [1, 2.5, "3", "+4", "-5.", ".5e1", "1E2"]
    assert numbers(values).tolist() == [1, 2.5, 3, 4, -5, 5, 100]
    assert numbers([1, None], null=-2).tolist() == [1, -2] and numbers([]).shape == (0,)
    assert points([]).shape == (0, 2)
    assert numbers([0, 1, -0.0, 2**60 + 1, 0.1]).tolist() == [0, 1, 0, 2**60, 0.1]
    for values in ([3, True], [False, 0.5], [2, float("nan")], [-float("inf"), 2], [10**400, 2], [2, "1_0"], [[2]]):
        with pytest.raises(ValueError, match="is no number"):
            numbers(values)
    for value in (None, True, "", "1_0", "１", "nan", float("inf"), 10**400, [], "0x1", b"1"):
        with pytest.raises(ValueError, match="is no number"):
            number(value)
