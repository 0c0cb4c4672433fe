"""Labelled sweeps: folders with a list of boxes, rendered sweeps without one, and predictions about either."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import FORMATS as IMAGES
from sfcore.datasets.images import find_images
from sfcore.datasets.layouts.sweeps import NEAR, Sweeps
from sfcore.datasets.lidar import NAMES, sweep
from sfcore.datasets.lidar.files import FORMATS, read_points
from sfcore.datasets.lidar.render import count_inside
from sfcore.datasets.lidar.samples import write_sweeps
from sfcore.datasets.sources.sweeps import rendered
from sfcore.errors import InputError
from sfcore.resources import sample_data

BOX = [10.0, -2.0, -0.9, 4.0, 1.8, 1.5, 0.3]


def folder(root: Path, **changes: Any) -> Path:
    np.zeros((5, 4), "<f4").tofile(root / "a.bin")
    entry = {"file": "a.bin", "boxes": [BOX, [60.0, *BOX[1:]]], "labels": [1, 0]} | changes
    (root / "labels.json").write_text(json.dumps({"names": NAMES, "sweeps": [entry]}))
    return root


def test_the_samples_are_a_dataset_of_boxes_that_hold_points() -> None:
    root = sample_data() / "sweeps"
    dataset = open_dataset(root)
    assert (layout_of(root), dataset.task, dataset.names, dataset.problems) == ("sweeps", "boxes3d", NAMES, [])
    assert [frame.image for frame in dataset.frames] == find_images([root], formats=FORMATS)
    for frame in dataset.frames:
        label = dataset.label(frame)
        assert label and label.objects and {len(each) for each in label.objects} == {9}
        assert count_inside(read_points(frame.image), np.array(label.objects)[:, :7]).min() >= 4  # rounded to mm
    assert layout_of(sample_data() / "scenes") == "scenes"


def test_boxes_far_away_need_not_be_found(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path))
    label = dataset.label(dataset.frames[0])
    assert label and np.array(label.objects).tolist() == [[*BOX, 1, 1]]
    assert np.array(label.neutral).tolist() == [[60.0, *BOX[1:], 0, 1]]


def test_rendered_sweeps_have_the_boxes_that_they_are_rendered_with() -> None:
    dataset = open_dataset(Path("sweeps:2,seed=3,beams=32"))
    label, found = dataset.label(dataset.frames[1]), rendered(dataset.frames[1].image)
    assert dataset.frames[1].name == "000001" and label
    near = np.hypot(*found.boxes[:, :2].T) <= NEAR
    assert np.array(label.objects) == pytest.approx(np.c_[found.boxes, found.labels, np.ones(len(near))][near])
    assert len(label.objects) + len(label.neutral) == len(found.boxes)


def test_sweeps_are_written_and_read_again(tmp_path: Path) -> None:
    found = sweep(11, 32)
    write_sweeps(tmp_path / "out", [("one", found)])
    dataset = open_dataset(tmp_path / "out")
    assert read_points(dataset.frames[0].image) == pytest.approx(found.points, abs=1e-3)
    label = dataset.label(dataset.frames[0])
    assert label and len(label.objects) + len(label.neutral) == len(found.boxes)


def test_predictions_are_filed_and_read_to_a_tenth_of_a_millimetre(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path))
    frame, out = dataset.frames[0], tmp_path / "out"
    filed = dataset.predictions(out)
    assert filed.done() == set()
    boxes = [np.array([*BOX, 2, 0.75]), np.array([*BOX, 0, 0.25])]
    filed.write(frame, boxes, None, 1.0)
    assert dataset.predictions(out).done() == {"a.bin"}
    assert np.array(dataset.predictions(out).read(frame)) == pytest.approx(np.array(boxes), abs=1e-4)
    assert (out / "a.bin.txt").read_text().startswith("cyclist 10.0000 -2.0000")
    for text in ("lorry 1 2 3 4 5 6 7 1\n", "vehicle 1 2 3\n", "vehicle 1 2 3 4 5 6 7 nan\n"):
        (out / "a.bin.txt").write_text(text)
        with pytest.raises(InputError, match=r"a\.bin\.txt is damaged"):
            dataset.predictions(out).read(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": [BOX]},
        {"boxes": [BOX[:6], BOX]},
        {"boxes": None},
        {"boxes": [[*BOX[:3], 0.0, *BOX[4:]], BOX]},
        {"boxes": [["x", *BOX[1:]], BOX]},
        {"labels": [0, 3]},
        {"labels": [0, -1]},
        {"labels": [0, 0.5]},
    ],
)
def test_damaged_boxes_are_refused_by_name(changes: dict[str, Any], tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path, **changes))
    with pytest.raises(InputError, match=r"the boxes of a\.bin in .* are damaged"):
        dataset.label(dataset.frames[0])


@pytest.mark.parametrize(
    "text", ['{"sweeps"', '{"sweeps": []}', '{"names": 3, "sweeps": []}', '{"names": [], "sweeps": [3]}']
)
def test_a_damaged_list_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(InputError, match=r"labels\.json is damaged"):
        open_dataset(tmp_path)


def test_a_list_with_any_damage_is_read_or_refused_by_name(tmp_path: Path) -> None:
    content, random, read = (folder(tmp_path) / "labels.json").read_bytes(), Random(5), 0
    for _ in range(300):
        data = bytearray(content[: random.randint(0, len(content))] if random.random() < 0.2 else content)
        for place in random.sample(range(len(data)), min(len(data), random.randint(1, 3))):
            data[place] = random.choice(b'[]{},:".0129eE-xn\0\xff')
        (tmp_path / "labels.json").write_bytes(data)
        try:
            dataset = Sweeps.open(tmp_path)
            labels = [dataset.label(frame) for frame in dataset.frames]
        except InputError as error:
            assert "labels.json" in str(error)
            continue
        read += 1
        rows = np.array([each for label in labels for each in (*label.objects, *label.neutral)]).reshape(-1, 9)
        assert (
            np.isfinite(rows).all() and (rows[:, 3:6] > 0).all() and set(rows[:, 7]) <= set(range(len(dataset.names)))
        )
    assert 20 < read < 280


def test_a_sweep_that_is_listed_twice_is_named_and_the_first_counts(tmp_path: Path) -> None:
    folder(tmp_path)
    content = json.loads((tmp_path / "labels.json").read_text())
    content["sweeps"].append({"file": "a.bin", "boxes": [], "labels": []})
    (tmp_path / "labels.json").write_text(json.dumps(content))
    dataset = open_dataset(tmp_path)
    assert len(dataset.frames) == 1 and "more than once" in dataset.problems[0]
    label = dataset.label(dataset.frames[0])
    assert label and len(label.objects) == 1


def test_a_detector_of_images_finds_none_among_sweeps() -> None:
    with pytest.raises(InputError, match="holds no images"):
        find_images([sample_data() / "sweeps"], formats=IMAGES)
