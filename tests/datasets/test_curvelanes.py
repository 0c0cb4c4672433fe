"""CurveLanes' folders, labels and prediction files, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.layouts.curvelanes import CurveLanes, labelled_names, read_lanes
from sfcore.errors import InputError

LABEL = {"Lines": [[{"x": "10.5", "y": "71.0"}, {"x": "20.25", "y": "30.0"}], [], [{"x": 1, "y": 2}]]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of 72 x 128 in valid, two of which its list names, two in test, none in train."""
    for split, names in (("valid", "cab"), ("test", "de")):
        (tmp_path / split / "images").mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(tmp_path / split / "images" / f"{name}.jpg"), np.zeros((72, 128, 3), np.uint8))
    (tmp_path / "valid/valid.txt").write_text("images/c.jpg\nimages/a.jpg\n")
    (tmp_path / "valid/labels").mkdir()
    for name in "abc":
        (tmp_path / "valid/labels" / f"{name}.lines.json").write_text(json.dumps(LABEL))
    return tmp_path


def test_the_list_gives_the_images_and_the_folder_where_there_is_none(root: Path) -> None:
    assert layout_of(root) == "curvelanes"
    dataset = open_dataset(root)
    assert (dataset.split, CurveLanes.splits(root)) == ("valid", ("valid", "test"))
    assert [frame.name for frame in dataset.frames] == ["images/c.jpg", "images/a.jpg"]
    assert dataset.frames[0].image.is_file() and dataset.size(dataset.frames[0]) == (72, 128)
    (root / "valid/valid.txt").unlink()
    assert [frame.name for frame in CurveLanes.open(root).frames] == [f"images/{name}.jpg" for name in "abc"]


def test_labels_are_lanes_with_points(root: Path) -> None:
    dataset = CurveLanes.open(root)
    label = dataset.label(dataset.frames[0])
    assert label is not None
    assert [lane.tolist() for lane in label.lanes] == [[[10.5, 71], [20.25, 30]], [[1, 2]]]
    test = CurveLanes.open(root, "test")
    assert [test.label(frame) for frame in test.frames] == [None, None]


def test_missing_splits_and_labels_are_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"train.images is missing.*valid, test"):
        CurveLanes.open(root, "train")
    with pytest.raises(InputError, match="no split 'val': choose one of valid"):
        CurveLanes.open(root, "val")
    dataset = CurveLanes.open(root)
    (root / "valid/labels/c.lines.json").unlink()
    with pytest.raises(InputError, match=r"c\.lines\.json"):
        dataset.label(dataset.frames[0])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Lines": 3}', '{"Lines": [[{"x": "1"}]]}', '{"Lines": [[{"x": "a"}]]}']
)
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.lines.json"
    for content in (text, '{"Lines": [[{"x": "nan", "y": 1}]]}'):
        path.write_text(content)
        with pytest.raises(InputError, match=r"a\.lines\.json is damaged"):
            read_lanes(path)


def test_predictions_come_back_and_survive(root: Path, tmp_path: Path) -> None:
    dataset = CurveLanes.open(root)
    lane = np.array([[100.123456, 71.0], [-20.5, 30.25]])
    dataset.predictions(tmp_path / "out").write(dataset.frames[0], [lane, lane[:1]], None, 3.0)
    again = CurveLanes.open(root).predictions(tmp_path / "out")
    assert again.done() == {"images/c.jpg"}
    (read,) = again.read(dataset.frames[0])
    assert np.abs(read - lane).max() <= 1e-5 / 2
    assert labelled_names(tmp_path / "out") == ["images/c.jpg"]
    with pytest.raises(InputError, match=r"a\.lines\.json"):
        again.read(dataset.frames[1])
    with pytest.raises(InputError, match=r"no \.lines\.json files"):
        labelled_names(tmp_path)
