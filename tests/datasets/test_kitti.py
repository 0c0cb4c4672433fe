"""KITTI folders: parts, lists, labels with their difficulty, predictions, and what may be wrong with them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.layouts.kitti import Kitti
from sfcore.errors import InputError
from tests.datasets.kitti_cases import CAR, DONT_CARE, WALKER, write_kitti

LABELS = {"000001": f"{CAR}\n{DONT_CARE}\n", "000007": f"{WALKER}\n{CAR}\n", "000004": ""}


def opened(root: Path, split: str | None = None) -> Kitti:
    found = open_dataset(root, split)
    assert isinstance(found, Kitti)
    return found


def test_a_folder_of_sweeps_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    data = opened(write_kitti(tmp_path, LABELS))
    assert layout_of(tmp_path) == "kitti" and (data.task, data.metric) == ("boxes3d", "kitti")
    assert data.names == ("vehicle", "pedestrian", "cyclist")
    assert [frame.name for frame in data.frames] == ["000001", "000004", "000007"]
    label = data.label(data.frames[2])
    assert label is not None and [each[7:].tolist() for each in label.objects] == [[1, 1], [0, 1]]
    assert label.objects[1][:3] == pytest.approx([20, 5, -0.95])
    assert data.label(data.frames[1]).objects == []  # type: ignore[union-attr]
    assert data.problems == [] and Kitti.splits(tmp_path) == ()


def test_lists_and_parts_are_splits(tmp_path: Path) -> None:
    write_kitti(tmp_path, LABELS, "training")
    write_kitti(tmp_path, {"000000": ""}, "testing")
    (tmp_path / "testing" / "label_2" / "000000.txt").unlink()
    (tmp_path / "testing" / "label_2").rmdir()
    (tmp_path / "ImageSets").mkdir()
    for name, content in {"train": "000007\n", "val": "000004\n000001\n", "test": "000000\n"}.items():
        (tmp_path / "ImageSets" / f"{name}.txt").write_text(content)
    assert Kitti.splits(tmp_path) == ("val", "test", "train", "training", "testing")
    assert [frame.name for frame in opened(tmp_path).frames] == ["000004", "000001"]
    assert len(opened(tmp_path, "training").frames) == 3
    for split in ("test", "testing"):
        data = opened(tmp_path, split)
        assert [frame.name for frame in data.frames] == ["000000"] and data.label(data.frames[0]) is None
    with pytest.raises(InputError, match="no split 'trian': choose one of val, test, train, training, testing"):
        opened(tmp_path, "trian")


def test_a_flat_folder_may_have_lists_too(tmp_path: Path) -> None:
    write_kitti(tmp_path, LABELS)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "val.txt").write_text("000004\n000009\n000004\n")
    data = opened(tmp_path)
    assert Kitti.splits(tmp_path) == ("val", "all") and [frame.name for frame in data.frames] == ["000004"]
    named, repeated = sorted(data.problems, key=len)
    assert "names 000009, of which there is no sweep" in named and "more than once, such as 000004" in repeated
    assert len(opened(tmp_path, "all").frames) == 3


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, 0),
        ({"Car 0.00 0": "Car 0.00 1"}, 1),
        ({"Car 0.00 0": "Car 0.00 2"}, 2),
        ({"Car 0.00 0": "Car 0.00 3"}, 3),
        ({"Car 0.00": "Car 0.20"}, 1),
        ({"Car 0.00": "Car 0.40"}, 2),
        ({"Car 0.00": "Car 0.60"}, 3),
        ({"240.83": "226.00"}, 1),  # 39 px
        ({"240.83": "212.00"}, 3),  # 25 px: too small for all
        ({"Car": "Van"}, 3),
    ],
)
def test_boxes_have_the_difficulty_of_the_official_evaluation(
    tmp_path: Path, changes: dict[str, str], level: int
) -> None:
    text = CAR
    for old, new in changes.items():
        text = text.replace(old, new)
    data = opened(write_kitti(tmp_path, {"000001": text}))
    assert data.label(data.frames[0]).levels.tolist() == [level]  # type: ignore[union-attr]


def test_a_frame_is_as_large_as_its_image(tmp_path: Path) -> None:
    data = opened(write_kitti(tmp_path, LABELS))
    assert data.size(data.frames[0]) == (375, 1242) and data.camera_image(data.frames[0]) is None
    (tmp_path / "image_2").mkdir()
    cv2.imwrite(str(tmp_path / "image_2" / "000001.png"), np.zeros((370, 1224, 3), np.uint8))
    assert data.size(data.frames[0]) == (370, 1224)
    assert data.camera_image(data.frames[0]) == tmp_path / "image_2" / "000001.png"


def test_predictions_are_filed_frame_by_frame_and_read_back(tmp_path: Path) -> None:
    data = opened(write_kitti(tmp_path / "data", LABELS))
    filed = data.predictions(tmp_path / "found")
    boxes = [np.array([20.0, 5, -1, 4, 1.6, 1.5, 0.4, 0, 0.75]), np.array([8.0, 0, -1, 0.6, 0.6, 1.7, 0, 2, 0.5])]
    filed.write(data.frames[0], boxes, None, 1.0)
    filed.write(data.frames[1], [], None, 1.0)
    assert filed.done() == {"000001", "000004"}
    assert np.allclose(filed.read(data.frames[0]), boxes, atol=1e-4) and filed.read(data.frames[1]) == []
    assert (tmp_path / "found" / "000001.txt").read_text().startswith("Car -1 -1 ")
    with pytest.raises(InputError, match=r"000007\.txt"):
        filed.read(data.frames[2])


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    data = opened(write_kitti(tmp_path, {"000001": CAR, "000002": CAR, "000003": CAR.replace("4.0", "0")}))
    assert len(data.problems) == 1 and "000003.txt: a Car of 1.5 × 1.6 × 0 m has no size" in data.problems[0]
    (tmp_path / "calib" / "000001.txt").unlink()
    (tmp_path / "label_2" / "000002.txt").unlink()
    for frame, file in zip(data.frames[:2], ("calib/000001.txt", "label_2/000002.txt"), strict=True):
        with pytest.raises(InputError, match=file):
            data.label(frame)
    with pytest.raises(InputError, match="holds no sweeps of KITTI"):
        Kitti.open(tmp_path / "label_2")


def test_a_frame_is_seen_on_its_cameras_image_where_there_is_one(tmp_path: Path) -> None:
    data = opened(write_kitti(tmp_path, LABELS))
    frame = data.frames[0]
    label = data.label(frame)
    assert label is not None
    assert data.beside(frame, label.objects) is None
    (tmp_path / "image_2").mkdir()
    plain = np.full((375, 1242, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "image_2" / f"{frame.image.stem}.png"), plain)
    drawn = data.beside(frame, label.objects)
    assert drawn is not None and drawn.shape == plain.shape and (drawn != plain).any()
    assert (data.beside(frame, []) == plain).all()
