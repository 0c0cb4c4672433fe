"""Plain folders and folders of rendered scenes as datasets, and datasets as sources of images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import find_images
from sfcore.datasets.scenes import render, sample_scenes
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.errors import InputError
from sfcore.resources import sample_data

SCENES = [
    {"file": "0.png", "seed": 1, "scenario": "night", "lanes": [[[1.5, 9.0], [2.5, 4.0]], [[0.0, 9.0], [0.0, 1.0]]]},
    {"file": "1.png", "seed": 2, "scenario": "curve", "lanes": []},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((10, 20, 3), np.uint8))
    return tmp_path


def test_a_plain_folder_is_a_dataset_without_labels(folder: Path) -> None:
    dataset = open_dataset(folder)
    assert (layout_of(folder), dataset.metric) == (None, "")
    assert [frame.name for frame in dataset.frames] == ["0.png", "1.png", "2.png"]
    assert dataset.label(dataset.frames[0]) is None
    filed = dataset.predictions(folder / "found")
    filed.write(dataset.frames[1], [], None, 1)
    assert filed.done() == {"1.png"}


def test_rendered_scenes_have_labels_and_scenarios(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps(SCENES))
    dataset = open_dataset(folder)
    assert (layout_of(folder), dataset.metric, dataset.problems) == ("scenes", "culane", [])
    assert [(frame.name, frame.scenario) for frame in dataset.frames] == [("0.png", "night"), ("1.png", "curve")]
    assert dataset.size(dataset.frames[0]) == (10, 20)
    assert [lane.tolist() for lane in dataset.label(dataset.frames[0]).lanes] == SCENES[0]["lanes"]
    assert dataset.label(dataset.frames[1]).lanes == []


def test_the_samples_are_such_a_folder() -> None:
    dataset, samples = open_dataset(sample_data() / "scenes"), sample_scenes()
    assert len(dataset.frames) == len(samples)
    for frame, scene in zip(dataset.frames, samples, strict=True):
        found = dataset.label(frame).lanes
        assert [lane.tolist() for lane in found] == [lane.tolist() for lane in scene.lanes]


@pytest.mark.parametrize("cut", [5, 30, 120])
def test_labels_cut_short_keep_the_scenes_before(folder: Path, cut: int) -> None:
    text = json.dumps(SCENES)
    (folder / "labels.json").write_text(text[:-cut])
    dataset = open_dataset(folder)
    whole = 1 if cut < 100 else 0
    assert [frame.name for frame in dataset.frames] == ["0.png"][:whole]
    assert len(dataset.problems) == 1 and f"labels.json is damaged after {whole} scenes" in dataset.problems[0]


def test_damaged_lanes_cost_one_frame(folder: Path) -> None:
    bad = [{**SCENES[0], "lanes": [[[1, 2], [3]]]}, SCENES[1]]
    (folder / "labels.json").write_text(json.dumps(bad))
    dataset = open_dataset(folder)
    with pytest.raises(InputError, match=r"the lanes of 0\.png in .*labels\.json are damaged"):
        dataset.label(dataset.frames[0])
    assert dataset.label(dataset.frames[1]).lanes == []


def test_an_empty_folder_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has none of the layouts"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="no dataset"):
        open_dataset(tmp_path / "none")


def test_a_dataset_is_a_source_of_images(tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "test.txt").write_text("/driver/b.jpg\n/driver/a.jpg\n/driver/c.jpg\n")
    (tmp_path / "list" / "train.txt").write_text("/driver/d.jpg\n")
    images = [tmp_path / "driver" / f"{name}.jpg" for name in "bac"]
    assert find_images([tmp_path]) == images
    assert find_images([f"{tmp_path}[:2]"]) == images[:2]


def test_images_beside_labels_go_before_those_that_the_labels_name(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps(SCENES))
    assert [file.name for file in find_images([folder])] == ["0.png", "1.png", "2.png"]


def test_a_split_of_a_dataset_and_a_part_of_it_are_sources_too(tmp_path: Path) -> None:
    for split, count in (("test", 1), ("train", 3)):
        write_scenes("culane", tmp_path, split, (render(800_400 + i, (90, 160)) for i in range(count)))
    train = [frame.image for frame in open_dataset(tmp_path, "train").frames]
    assert find_images([f"{tmp_path}[train]"]) == train
    assert find_images([f"{tmp_path}[train][1:]"]) == train[1:]
    assert find_images([tmp_path]) == [open_dataset(tmp_path).frames[0].image]
    with pytest.raises(InputError, match="no split 'evening'"):
        find_images([f"{tmp_path}[evening]"])
    with pytest.raises(InputError, match="is no dataset, so it has no split 'train'"):
        find_images([f"{train[0]}[train]"])
