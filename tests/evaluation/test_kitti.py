"""KITTI's metric over folders and single labels, on cases worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import Dataset, Label, open_dataset
from sfcore.datasets.sweep_label import SweepLabel
from sfcore.evaluation.evaluate import evaluate, predict
from sfcore.evaluation.metrics.kitti import Kitti
from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes3d import Boxes3d
from tests.datasets.kitti_cases import CAR, WALKER, write_kitti

SIZE = (375, 1242)
NAMES = ("vehicle", "pedestrian", "cyclist")


def box(x: float, y: float = 0.0, label: int = 0, score: float = 1.0, length: float = 4.0) -> np.ndarray:
    return np.array([x, y, -1, length, 2, 1.5, 0, label, score])


def figures(*frames: tuple[list[np.ndarray], Label]) -> dict[str, float]:
    metric = Kitti()
    return metric.summary([metric.frame(found, label, SIZE) for found, label in frames])


def test_labels_found_as_they_are_have_an_ap_of_one(tmp_path: Path) -> None:
    text = f"{CAR}\n{WALKER}\n"
    data = open_dataset(write_kitti(tmp_path / "data", {f"{number:06}": text for number in range(60)}))
    filed = data.predictions(tmp_path / "found")
    for frame in data.frames:
        filed.write(frame, data.label(frame).objects, None, 1.0)  # type: ignore[union-attr]
    found = evaluate(data, filed).total
    assert found["ap"] == found["vehicle_ap"] == found["pedestrian_ap"] == 1.0
    assert math.isnan(found["cyclist_ap"]) and math.isnan(found["cyclist_3d_easy"])
    for level in ("easy", "moderate", "hard"):
        assert found[f"vehicle_bev_{level}"] == found[f"vehicle_3d_{level}"] == pytest.approx(1.0)
    assert math.isnan(found["pedestrian_bev_easy"])  # it is partly occluded
    assert found["pedestrian_bev_moderate"] == pytest.approx(1.0)


def test_vehicles_need_seven_tenths_in_kittis_figures_and_half_in_the_plain_one(tmp_path: Path) -> None:
    data = open_dataset(write_kitti(tmp_path, {f"{number:06}": CAR for number in range(60)}))
    metric = Kitti()
    for along, least in ((0.6, 1.0), (0.9, 0.0)):  # of 4 m: 3.4 / 4.6 = .74 and 3.1 / 4.9 = .63
        tallies = []
        for frame in data.frames:
            label = data.label(frame)
            moved = label.objects[0] + np.array([0, along, 0, 0, 0, 0, 0, 0, 0])  # type: ignore[union-attr]
            tallies.append(metric.frame([moved], label, SIZE))  # type: ignore[arg-type]
        found = metric.summary(tallies)
        assert found["vehicle_ap"] == 1.0
        assert found["vehicle_bev_easy"] == found["vehicle_3d_easy"] == pytest.approx(least)


def test_a_box_at_the_right_place_but_another_height_is_found_from_above_only(tmp_path: Path) -> None:
    data = open_dataset(write_kitti(tmp_path, {f"{number:06}": CAR for number in range(60)}))
    metric, up = Kitti(), np.array([0, 0, 0.5, 0, 0, 0, 0, 0, 0])  # 1.0 / 2.0 of the volume
    labels = [data.label(frame) for frame in data.frames]
    found = metric.summary([metric.frame([label.objects[0] + up], label, SIZE) for label in labels])  # type: ignore[union-attr,arg-type]
    assert found["vehicle_bev_easy"] == pytest.approx(1.0) and found["vehicle_3d_easy"] == 0.0


def test_vans_need_not_be_found_for_kitti_but_are_vehicles_in_the_plain_figure(tmp_path: Path) -> None:
    text = f"{CAR}\n{CAR.replace('Car', 'Van').replace(' -5 ', ' 5 ')}"
    data = open_dataset(write_kitti(tmp_path, {f"{number:06}": text for number in range(60)}))
    metric, labels = Kitti(), [data.label(frame) for frame in data.frames]
    both = metric.summary([metric.frame(label.objects, label, SIZE) for label in labels])  # type: ignore[union-attr,arg-type]
    cars = metric.summary([metric.frame(label.objects[:1], label, SIZE) for label in labels])  # type: ignore[union-attr,arg-type]
    assert both["vehicle_bev_easy"] == cars["vehicle_bev_easy"] == pytest.approx(1.0)
    assert (both["vehicle_ap"], cars["vehicle_ap"]) == (1.0, 0.5)


def test_what_the_camera_did_not_see_is_not_judged(tmp_path: Path) -> None:
    data = open_dataset(write_kitti(tmp_path, {"000001": CAR}))
    label = data.label(data.frames[0])
    assert label is not None
    sure, car = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0.5]), label.objects[0] - np.array([0] * 8 + [0.5])
    behind, ahead = box(-20, score=0.9), box(30, score=0.9)
    assert figures(([car, behind], label))["vehicle_ap"] == 1.0
    assert figures(([car, ahead], label))["vehicle_ap"] == 0.5
    assert figures(([car + sure, ahead], label))["vehicle_ap"] == 1.0
    around = SweepLabel(label.objects, names=NAMES)
    assert figures(([car, behind], around))["vehicle_ap"] == 0.5


def test_the_mean_is_over_the_classes_that_are_labelled() -> None:
    label = SweepLabel([box(10), box(20, label=1, length=1)], names=NAMES)
    found = figures(([box(10), box(40, label=2)], label))
    assert found["vehicle_ap"] == 1.0 and found["pedestrian_ap"] == 0.0 and math.isnan(found["cyclist_ap"])
    assert found["ap"] == 0.5 and set(found) == {"ap", "vehicle_ap", "pedestrian_ap", "cyclist_ap"}


def test_a_box_of_another_class_is_false_and_neutral_ones_neither_help_nor_harm() -> None:
    assert figures(([box(10, label=1)], SweepLabel([box(10)], names=NAMES)))["ap"] == 0.0
    label = SweepLabel([box(10)], neutral=[box(20)], names=NAMES)
    assert figures(([box(10, score=0.5), box(20, score=0.9)], label))["ap"] == 1.0


def test_predictions_in_place_of_labels_have_the_mean_alone() -> None:
    full = Label([box(10), box(20, label=1), box(30, score=0.2)])  # the last too unsure to be taken for a label
    assert figures(([box(10)], full)) == {"ap": 0.5}


def test_frames_are_ordered_by_their_own_ap_then_by_what_is_false() -> None:
    metric, none, some = Kitti(), SweepLabel([], names=NAMES), SweepLabel([box(10)], names=NAMES)
    frames = {"bad": ([], some), "good": ([box(10)], some), "invented": ([box(9)], none), "empty": ([], none)}
    merit = {name: metric.merit(metric.frame(found, label, SIZE)) for name, (found, label) in frames.items()}
    assert sorted(merit, key=merit.__getitem__)[0] == "bad"
    assert merit["invented"] < merit["empty"]
    assert math.isnan(metric.figures([])["ap"])


class Knowing:
    """A detector of other names, in another order, that answers with what is labelled; its frames are files."""

    task = TASKS["boxes3d"]
    names = ("Cyclist", "Pedestrian", "tree", "Vehicle")

    def __init__(self, data: Dataset) -> None:
        self._labels = {frame.image: data.label(frame) for frame in data.frames}
        self.preprocessing = self

    def read(self, path: Path) -> Path:
        return path

    def detect(self, files: Sequence[Path], batch: int, unsure: bool) -> list[Boxes3d]:
        assert unsure  # the metric goes through all confidences
        turned = {0: 3, 1: 1, 2: 0}
        found = []
        for file in files:
            boxes = [each.copy() for each in self._labels[file].objects]  # type: ignore[union-attr]
            for each in boxes:
                each[7] = turned[int(each[7])]
            found.append(Boxes3d.from_objects([[*boxes, box(40, label=2)]], self.names, (0.0, -40.0, 80.0, 40.0)))
        return found


def test_classes_of_a_detector_meet_those_of_the_labels_by_name(tmp_path: Path) -> None:
    text = f"{CAR}\n{WALKER}\n{WALKER.replace('Pedestrian', 'Cyclist').replace(' 0 1.7 10', ' 4 1.7 30')}"
    data = open_dataset(write_kitti(tmp_path / "data", {"000001": text, "000002": CAR}))
    filed = data.predictions(tmp_path / "found")
    assert predict(Knowing(data), data, filed) == {}  # type: ignore[arg-type]
    found = evaluate(data, filed).total
    assert [found[f"{name}_ap"] for name in NAMES] == [1.0, 1.0, 1.0]
