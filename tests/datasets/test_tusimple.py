"""The TuSimple layout: label files, splits, damaged lines and predictions that survive a kill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import Dataset, Frame, layout_of, open_dataset
from sfcore.datasets.layouts.tusimple import at_heights
from sfcore.errors import InputError

HEIGHTS = [240, 250, 260, 270]


def line(name: str, lanes: list[list[float]], **more: str) -> str:
    return json.dumps({"lanes": lanes, "h_samples": HEIGHTS, "raw_file": name, **more}) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frames to train on, in two files, and three to test on, one of them without a lane."""
    (tmp_path / "label_data_0313.json").write_text(line("clips/0313/1/20.jpg", [[1, 2, 3, 4]]))
    (tmp_path / "label_data_0531.json").write_text(line("clips/0531/1/20.jpg", [[5, 6, 7, 8]]))
    test = [line("clips/a.jpg", [[-2, 10, 20, 30], [-2, -2, -2, 9]]), line("clips/b.jpg", []), line("clips/c.jpg", [])]
    (tmp_path / "test_label.json").write_text("".join(test))
    (tmp_path / "readme.json").write_text('{"raw_file": "no list of frames"}')
    return tmp_path


def names(dataset: Dataset) -> list[str]:
    return [frame.name for frame in dataset.frames]


def test_splits_are_the_official_ones_and_single_files(root: Path) -> None:
    dataset = open_dataset(root)
    assert dataset.splits(root) == ("test", "train", "label_data_0313", "label_data_0531", "test_label")
    assert (layout_of(root), dataset.split) == ("tusimple", "test")
    assert names(dataset) == ["clips/a.jpg", "clips/b.jpg", "clips/c.jpg"]
    assert dataset.frames[0].image == root / "clips" / "a.jpg"
    assert names(open_dataset(root, "train")) == ["clips/0313/1/20.jpg", "clips/0531/1/20.jpg"]
    assert names(open_dataset(root, "label_data_0531")) == ["clips/0531/1/20.jpg"]
    with pytest.raises(InputError, match="no split 'val': choose one of test, train, label_data_0313"):
        open_dataset(root, "val")
    (root / "test_label.json").unlink()
    assert open_dataset(root).split == "train"


def test_labels_are_columns_at_heights_and_polylines(root: Path) -> None:
    dataset = open_dataset(root)
    label = dataset.label(dataset.frames[0])
    assert label is not None and label.heights is not None and label.columns is not None
    assert label.heights.tolist() == HEIGHTS
    assert label.columns.tolist() == [[-2, 10, 20, 30], [-2, -2, -2, 9]]
    assert [lane.tolist() for lane in label.lanes] == [[[10, 250], [20, 260], [30, 270]]]  # a point is no line
    empty = dataset.label(dataset.frames[1])
    assert empty is not None and empty.columns is not None and empty.columns.shape == (0, 4)


def test_damaged_lines_are_named_and_cost_no_other(root: Path) -> None:
    path = root / "test_label.json"
    path.write_text(
        line("clips/a.jpg", [[1, 2, 3, 4]])
        + "\x00\x00\n"
        + line("clips/a.jpg", [])
        + line("clips/b.jpg", [[1, 2, 3], [4]])
        + line("clips/n.jpg", [[1, 2, 3, float("nan")]])
        + line("clips/c.jpg", [[1, 2, 3, 4], [1, 2, 3, 4]])[:-30].replace("]]", "]")
        + "\n"
        + line("clips/d.jpg", [[9, 9, 9, 9]]).rstrip()
    )
    dataset = open_dataset(root)
    assert names(dataset) == ["clips/a.jpg", "clips/b.jpg", "clips/n.jpg", "clips/d.jpg"]
    for problem, said in zip(
        dataset.problems, ("line 2 of", "repeats clips/a.jpg of line 1", "line 6 of"), strict=True
    ):
        assert said in problem
    for frame, number, reason in ((dataset.frames[1], 4, ""), (dataset.frames[2], 5, "NaN")):
        with pytest.raises(InputError, match=rf"line {number} of .*test_label\.json is no TuSimple label .*{reason}"):
            dataset.label(frame)
    assert dataset.label(dataset.frames[3]).columns.tolist() == [[9, 9, 9, 9]]


def test_a_local_copy_lies_beside_the_labels(tmp_path: Path) -> None:
    entries = [line("clips/a/20.jpg", [], local_image="/home/me/copy/0000.png"), line("clips/b/20.jpg", [])]
    (tmp_path / "labels.json").write_text("".join(entries))
    dataset = open_dataset(tmp_path)
    assert dataset.split == "labels"
    assert [frame.image for frame in dataset.frames] == [tmp_path / "0000.png", tmp_path / "clips" / "b" / "20.jpg"]


def test_real_frames_and_labels_are_found(real_data: Path) -> None:
    dataset = open_dataset(real_data / "tusimple6")
    assert [frame.image.name for frame in dataset.frames] == [f"{index:04d}.png" for index in range(6)]
    assert [len(dataset.label(frame).lanes) for frame in dataset.frames] == [4, 4, 4, 5, 4, 4]
    assert dataset.size(dataset.frames[0]) == (720, 1280)


def test_predictions_are_filed_as_the_official_tool_reads_them(root: Path, tmp_path: Path) -> None:
    dataset, path = open_dataset(root), tmp_path / "out" / "pred.json"
    filed = dataset.predictions(path)
    lanes = [
        np.array([[100.126, 270.0], [90.0, 260.0], [80.0, 250.0]]),
        np.array([[5.0, 270.0], [-15.0, 250.0]]),
        np.empty((0, 2)),
    ]
    filed.write(dataset.frames[0], lanes, dataset.label(dataset.frames[0]), 12.34567)
    filed.write(dataset.frames[1], [], None, 7)
    first, second = (json.loads(one) for one in path.read_text().splitlines())
    expected = [[-2, 80, 90, 100.13], [-2, -2, -2, 5], [-2] * 4]
    assert first == {"raw_file": "clips/a.jpg", "lanes": expected, "run_time": 12.346}
    assert second == {"raw_file": "clips/b.jpg", "lanes": [], "run_time": 7}
    read = filed.read(dataset.frames[0])
    assert [lane.tolist() for lane in read] == [[[80, 250], [90, 260], [100.13, 270]], [[5, 270]]]
    assert filed.read(dataset.frames[1]) == []
    with pytest.raises(InputError, match=r"pred\.json has no TuSimple prediction of clips/c\.jpg"):
        filed.read(dataset.frames[2])
    with pytest.raises(InputError, match=r"pred\.json holds clips/a\.jpg already"):
        filed.write(dataset.frames[0], [], None, 1)


@pytest.mark.parametrize("kept", [1, 40, -3, -1])
def test_writing_goes_on_after_a_kill_at_any_byte(root: Path, tmp_path: Path, kept: int) -> None:
    dataset, path = open_dataset(root), tmp_path / "pred.json"
    a, b, c = dataset.frames
    filed = dataset.predictions(path)
    filed.write(a, [], None, 1)
    whole = path.read_bytes()
    filed.write(b, [], None, 1)
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:kept])

    again = dataset.predictions(path)
    finished = {"clips/a.jpg"} | ({"clips/b.jpg"} if kept == -1 else set())  # only the end of the line is missing
    assert again.done() == finished
    for frame in (a, b, c):
        if frame.name not in again.done():
            again.write(frame, [], None, 1)
    assert [json.loads(one)["raw_file"] for one in path.read_text().splitlines()] == names(dataset)
    assert dataset.predictions(path).done() == set(names(dataset)) and not dataset.predictions(path).problems


def test_two_programs_cannot_write_the_same_file(root: Path, tmp_path: Path) -> None:
    dataset, path = open_dataset(root), tmp_path / "pred.json"
    one, other = dataset.predictions(path), dataset.predictions(path)
    one.write(dataset.frames[0], [], None, 1)
    with pytest.raises(InputError, match=r"another program changed .*pred\.json"):
        other.write(dataset.frames[0], [], None, 1)
    one.write(dataset.frames[1], [], None, 1)
    assert len(path.read_text().splitlines()) == 2


def test_reading_predictions_changes_nothing(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "pred.json"
    path.write_text('{"raw_file": "clips/a.jpg", "lanes": [], "run_time": 1}\n{"raw_f')
    filed = open_dataset(root).predictions(path)
    assert filed.done() == {"clips/a.jpg"} and "line 2 of" in filed.problems[0]
    assert path.read_text().endswith('{"raw_f')
    missing = open_dataset(root).predictions(tmp_path / "none.json")
    assert missing.done() == set() and not (tmp_path / "none.json").exists()
    with pytest.raises(InputError, match=r"none\.json has no TuSimple prediction of clips/b"):
        missing.read(Frame("clips/b.jpg", root))


def test_ends_reach_half_a_step_beyond_the_samples() -> None:
    lane = np.array([[0.0, 200.0], [8.0, 208.0], [16.0, 216.0]])[::-1]
    columns = at_heights([lane], np.array([195.0, 196.0, 204.0, 220.0, 221.0]))
    assert columns.tolist() == [[-2, -4, 4, 20, -2]]
