"""The vehicles of rendered scenes as labels: of ``scenes:…``, of folders that were written, of the samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.scenes import NAMES, render, sample_scenes
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.datasets.scenes.sightings import to_be_found
from sfcore.datasets.sources.scenes import renderer_seed
from sfcore.errors import InputError
from sfcore.resources import sample_data


def test_scenes_of_a_count_have_both_kinds_of_labels() -> None:
    lanes = open_dataset(Path("scenes:3,seed=4"))
    boxes = lanes.labelled("boxes2d")
    assert boxes is not None and (boxes.task, boxes.metric, boxes.names) == ("boxes2d", "coco", NAMES)
    assert lanes.labelled("lanes") is lanes and lanes.labelled("boxes3d") is None
    assert [frame.name for frame in boxes.frames] == [frame.name for frame in lanes.frames]
    frame = boxes.frames[1]
    label = boxes.label(frame)
    assert label is not None
    found, neutral = to_be_found(render(renderer_seed(frame.image)).objects["boxes2d"], 640)
    assert [each.tolist() for each in label.objects] == [each.tolist() for each in found] and found and neutral
    assert [each.tolist() for each in label.neutral] == [each.tolist() for each in neutral]
    assert min(each[3] - each[1] for each in found) >= 640 * 25 / 1242 > max(each[3] - each[1] for each in neutral)


def written(folder: Path) -> Path:
    write_scenes("folder", folder, "", [render(seed, size=(180, 320)) for seed in (800_000, 800_001)])
    return folder


def test_written_scenes_have_the_boxes_that_were_rendered(tmp_path: Path) -> None:
    boxes = open_dataset(written(tmp_path)).labelled("boxes2d")
    assert boxes is not None and boxes.names == NAMES
    for frame, seed in zip(boxes.frames, (800_000, 800_001), strict=True):
        label = boxes.label(frame)
        assert label is not None and label.objects
        found, neutral = to_be_found(render(seed, size=(180, 320)).objects["boxes2d"], 320)
        np.testing.assert_allclose(label.objects, found, atol=0.006)
        assert len(label.neutral) == len(neutral)


def test_folders_of_versions_without_boxes_have_lanes_alone(tmp_path: Path) -> None:
    path = written(tmp_path) / "labels.json"
    old = [{key: value for key, value in each.items() if key != "boxes"} for each in json.loads(path.read_text())]
    path.write_text(json.dumps(old))
    found = open_dataset(tmp_path)
    assert found.labelled("boxes2d") is None and found.labelled("lanes") is found


@pytest.mark.parametrize("box", [["bus", 1, 2, 3, 4], ["car", 1, 2, 3], ["car", 1, 2, 3, None], "car", 7])
def test_a_damaged_box_is_said(tmp_path: Path, box: object) -> None:
    path = written(tmp_path) / "labels.json"
    entries = json.loads(path.read_text())
    entries[0]["boxes"] = [box]
    path.write_text(json.dumps(entries))
    boxes = open_dataset(tmp_path).labelled("boxes2d")
    assert boxes is not None
    with pytest.raises(InputError, match=r"the boxes of .* are damaged: render it again"):
        boxes.label(boxes.frames[0])


def test_samples_have_boxes_of_their_seeds() -> None:
    scenes = sample_scenes()
    assert sum(len(scene.boxes) for scene in scenes) > 100
    for scene in scenes[:3]:
        np.testing.assert_allclose(scene.boxes, render(scene.seed, scenario=scene.scenario).boxes, atol=0.006)
    assert open_dataset(sample_data() / "scenes").labelled("boxes2d") is not None
