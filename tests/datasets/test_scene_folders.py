"""Rendered scenes written as datasets are read back as what they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import read_image
from sfcore.datasets.scenes import SCENARIOS, Scene, render
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.errors import InputError

SIZE = (180, 320)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(800_200 + i, SIZE, scenario) for i, scenario in enumerate(("night", "curve", "cross", "normal"))]


def test_culane_folders_hold_the_same_lanes_and_scenarios(tmp_path: Path, scenes: list[Scene]) -> None:
    entries = write_scenes("culane", tmp_path, "test", scenes)
    assert layout_of(tmp_path) == "culane"
    dataset = open_dataset(tmp_path)
    assert [frame.scenario for frame in dataset.frames] == [scene.scenario for scene in scenes]
    assert [frame.name for frame in dataset.frames] == [entry["file"] for entry in entries]
    assert dataset.scenarios == ("normal", "curve", "cross", "night")  # the order of CULane's lists
    assert len(list((tmp_path / "list" / "test_split").iterdir())) == len(SCENARIOS)
    for frame, scene in zip(dataset.frames, scenes, strict=True):
        assert dataset.size(frame) == SIZE
        label = dataset.label(frame)
        assert label is not None
        for found, line in zip(label.lanes, scene.lanes, strict=True):
            np.testing.assert_allclose(found, line, atol=1e-3)
        assert np.abs(read_image(frame.image).astype(int) - scene.image).mean() < 8  # JPEG


def test_other_splits_of_culane_leave_the_test_lists_alone(tmp_path: Path, scenes: list[Scene]) -> None:
    write_scenes("culane", tmp_path, "test", scenes[:1])
    write_scenes("culane", tmp_path, "train", scenes[1:])
    assert len(open_dataset(tmp_path).frames) == 1
    assert len(open_dataset(tmp_path, "train").frames) == 3


def test_tusimple_folders_hold_the_lanes_at_the_official_heights(tmp_path: Path, scenes: list[Scene]) -> None:
    write_scenes("tusimple", tmp_path, "test", [render(800_200, (720, 1280)), *scenes[1:]])
    assert layout_of(tmp_path) == "tusimple"
    first = json.loads((tmp_path / "test_label.json").read_text().splitlines()[0])
    assert first["h_samples"] == list(range(160, 720, 10))
    for lane, line in zip(first["lanes"], render(800_200, (720, 1280)).lanes, strict=True):
        for x, y in zip(lane, first["h_samples"], strict=True):
            inside = line[:, 1].min() <= y <= line[:, 1].max()
            assert (x == -2) is not inside
            if inside:
                order = np.argsort(line[:, 1])
                assert abs(x - np.interp(y, line[order, 1], line[order, 0])) <= 0.5
    assert [len(open_dataset(tmp_path).frames), len(scenes)] == [4, 4]


def test_a_layout_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of folder, culane, tusimple"):
        write_scenes("curvelanes", tmp_path, "test", [])
    assert not list(tmp_path.iterdir())
