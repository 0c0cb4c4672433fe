"""COCO's layout: splits, boxes, crowds, what is missing or damaged, and predictions in its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import LAYOUTS, Dataset, labelled_frames, layout_of, open_dataset
from sfcore.datasets.images import find_images
from sfcore.errors import InputError

CATEGORIES = [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}]
IMAGES = [
    {"id": 7, "file_name": "a.png", "width": 64, "height": 48},
    {"id": 8, "file_name": "sub/b.png", "width": 64, "height": 48},
    {"id": 9, "file_name": "c.png"},
]
BOXES = [
    {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10], "iscrowd": 0, "area": 200},
    {"id": 2, "image_id": 7, "category_id": 1, "bbox": [1.5, 2, 3, 4]},
    {"id": 3, "image_id": 8, "category_id": 1, "bbox": [0, 0, 60, 40], "iscrowd": 1},
]


def write(file: Path, images: list[dict[str, Any]] = IMAGES, boxes: list[dict[str, Any]] = BOXES, **other: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": CATEGORIES, **other}))


def pictures(folder: Path, names: tuple[str, ...] = ("a.png", "sub/b.png", "c.png")) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "annotations" / "instances_val2017.json")
    pictures(tmp_path / "val2017")
    return tmp_path


def boxes(dataset: Dataset, place: int) -> list[list[float]]:
    label = dataset.label(dataset.frames[place])
    assert label is not None
    return [each.tolist() for each in label.objects]


def test_boxes_are_read_with_their_classes(root: Path) -> None:
    dataset = open_dataset(root)
    assert layout_of(root) == "coco" and (dataset.task, dataset.metric, dataset.split) == ("boxes2d", "coco", "val2017")
    assert dataset.names == ("car", "person")  # in the order of the file
    assert [frame.name for frame in dataset.frames] == ["a.png", "sub/b.png", "c.png"]
    assert boxes(dataset, 0) == [[10, 5, 30, 15, 0, 1], [1.5, 2, 4.5, 6, 1, 1]]
    assert boxes(dataset, 1) == boxes(dataset, 2) == [] and not dataset.problems
    crowd = dataset.label(dataset.frames[1])
    assert crowd and [each.tolist() for each in crowd.neutral] == [[0, 0, 60, 40, 1, 1]]
    assert dataset.labelled("boxes2d") is dataset and dataset.labelled("lanes") is None


def test_splits_are_files_and_images_lie_where_exports_put_them(root: Path) -> None:
    write(root / "annotations" / "instances_train2017.json", IMAGES[:1], [])
    pictures(root / "images" / "train2017", ("a.png",))
    (root / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    assert LAYOUTS["coco"].splits(root) == ("val2017", "train2017")
    assert len(open_dataset(root, "train2017").frames) == 1
    assert [file.name for file in find_images([f"{root}[train2017]"])] == ["a.png"]
    with pytest.raises(InputError, match="no split 'test': choose one of val2017, train2017"):
        open_dataset(root, "test")
    beside = root / "other"
    write(beside / "labels.json", IMAGES[2:], [])
    pictures(beside, ("c.png",))
    assert layout_of(beside) == "coco" and open_dataset(beside).frames[0].image == beside / "c.png"


def test_other_files_that_list_images_are_none_of_coco(root: Path) -> None:
    pictures(root / "plain", ("a.png",))
    (root / "plain" / "manifest.json").write_text('{"images": ["a.png"], "annotations": "none"}')
    assert layout_of(root / "plain") is None


def test_labels_of_a_task_are_found_by_image(root: Path) -> None:
    found = labelled_frames([f"{root}[:2]", root / "val2017"], "boxes2d")
    assert list(found) == [root / "val2017" / "a.png", root / "val2017" / "sub" / "b.png"]
    assert labelled_frames([root], "lanes") == {}


def test_missing_images_and_bad_boxes_are_named_and_left_out(root: Path) -> None:
    flat = {"id": 4, "image_id": 7, "category_id": 3, "bbox": [5, 5, 0, 10]}
    odd = [{**flat, "bbox": [0, 0, "wide", 1]}, {**BOXES[0], "category_id": 99}, {**BOXES[0], "image_id": 99}]
    write(root / "annotations" / "instances_val2017.json", boxes=[*BOXES, flat, *odd])
    (root / "val2017" / "c.png").unlink()
    dataset = open_dataset(root)
    assert [frame.name for frame in dataset.frames] == ["a.png", "sub/b.png"] and len(boxes(dataset, 0)) == 2
    missing, *left_out = dataset.problems
    assert "c.png is missing" in missing and len(left_out) == 4
    assert "annotation 3" in left_out[0] and "its box is 0 × 10 px" in left_out[0]
    many = [flat] * 50
    write(root / "annotations" / "instances_val2017.json", boxes=many)
    assert len(open_dataset(root).problems) == 22 and "30 more such problems" in open_dataset(root).problems[-1]


def test_labels_of_images_of_another_size_are_refused(root: Path) -> None:
    write(root / "annotations" / "instances_val2017.json", [{**IMAGES[0], "width": 640, "height": 480}])
    dataset = open_dataset(root)
    with pytest.raises(InputError, match="64 × 48 px, but its boxes are in 640 × 480 px"):
        dataset.label(dataset.frames[0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [', "no COCO file"),
        ('{"images": [], "annotations": []}', "no 'categories'"),
        ('{"images": {}, "annotations": [], "categories": []}', "is no list"),
        ('{"images": [{"id": 1, "file_name": "../x.png"}], "annotations": [], "categories": []}', "outside"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": ""}]}', "is no name"),
        ('{"images": [{"id": 1, "file_name": "x.png"}], "annotations": [], "categories": []}', "none of the 1 images"),
    ],
)
def test_damaged_files_are_refused_by_name(root: Path, content: str, reason: str) -> None:
    (root / "annotations" / "instances_val2017.json").write_text(content)
    with pytest.raises(InputError, match=reason) as error:
        open_dataset(root)
    assert "instances_val2017.json" in str(error.value)


def test_predictions_survive_a_kill_and_become_cocos_results(root: Path, tmp_path: Path) -> None:
    dataset, out = open_dataset(root), tmp_path / "out"
    first, second, _ = dataset.frames
    filed = dataset.predictions(out)
    found = [np.array([10, 5, 30, 15, 0, 0.9], np.float32), np.array([1, 2, 4, 6, 1, 0.25], np.float32)]
    filed.write(first, found, None, 5.0)
    filed.write(second, [], None, 5.0)
    with (out / "frames.jsonl").open("a") as file:
        file.write('{"file": "c.p')
    again = dataset.predictions(out)
    assert again.done() == {first.name, second.name}
    again.finish()
    assert json.loads((out / "results.json").read_text()) == [
        {"image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10], "score": 0.9},
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.25},
    ]
    assert again.read(first)[0].tolist() == pytest.approx([10, 5, 30, 15, 0, 0.9])
    with pytest.raises(InputError, match=r"no boxes of c\.png"):
        again.read(dataset.frames[2])


def test_damaged_predictions_are_named(root: Path, tmp_path: Path) -> None:
    dataset, out = open_dataset(root), tmp_path / "out"
    out.mkdir()
    (out / "frames.jsonl").write_text('{"file": "a.png", "boxes": [[0, 0, 1, 1, 9, 0.5]]}\n{"file": 3, "boxes": []}\n')
    filed = dataset.predictions(out)
    assert filed.done() == set() and "2 damaged lines" in filed.problems[0]
