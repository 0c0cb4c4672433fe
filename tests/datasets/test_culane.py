"""CULane's lists, labels and prediction files, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.dataset import Frame, layout_of, open_dataset
from sfcore.datasets.layouts.culane import SCENARIOS, CULane, lanes_file, parse_lanes
from sfcore.errors import InputError

NAMES = [f"driver_37_30frame/05181432_0203.MP4/{index:05d}.jpg" for index in range(18)]
LANE = "532.893 590 542.567 580 553.704 570"


def write_list(root: Path, name: str, lines: list[str]) -> None:
    path = root / "list" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """18 test images, two of each scenario, labelled; val and train lists as CULane has them."""
    write_list(tmp_path, "test.txt", [f"/{name}" for name in NAMES])
    for number, scenario in enumerate(SCENARIOS):
        write_list(tmp_path, f"test_split/test{number}_{scenario}.txt", NAMES[number::9])
    write_list(tmp_path, "val.txt", ["/val/a.jpg"])
    write_list(tmp_path, "train_gt.txt", ["/train/a.jpg /laneseg_label_w16/train/a.png 1 1 0 1"])
    for name in NAMES:
        path = lanes_file(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{LANE} \n{LANE} \n")
    return tmp_path


def test_the_test_split_is_the_usual_one_and_knows_its_scenarios(root: Path) -> None:
    assert layout_of(root) == "culane"
    dataset = open_dataset(root)
    assert isinstance(dataset, CULane)
    assert [frame.name for frame in dataset.frames] == NAMES
    assert [frame.scenario for frame in dataset.frames] == [*SCENARIOS, *SCENARIOS]
    assert dataset.frames[0].image == root / NAMES[0]
    assert not dataset.problems


def test_scenarios_and_lists_with_more_columns_are_splits(root: Path) -> None:
    assert CULane.splits(root) == ("test", "val", "train", *SCENARIOS)
    assert CULane.open(root, "night").frames == [Frame(name, root / name, "night") for name in (NAMES[8], NAMES[17])]
    assert CULane.open(root, "train").frames == [Frame("train/a.jpg", root / "train/a.jpg")]


def test_labels_are_lanes_in_pixels(root: Path) -> None:
    dataset = CULane.open(root)
    lanes = dataset.label(dataset.frames[3]).lanes
    assert len(lanes) == 2
    assert lanes[0].tolist() == [[532.893, 590], [542.567, 580], [553.704, 570]]


def test_what_a_partial_download_lacks_is_named(root: Path) -> None:
    (root / "list/test_split/test3_shadow.txt").unlink()
    dataset = CULane.open(root)
    assert len(dataset.problems) == 1 and "test3_shadow.txt" in dataset.problems[0]
    assert dataset.frames[3].scenario == "" and dataset.frames[4].scenario == "noline"
    with pytest.raises(InputError, match=r"test3_shadow\.txt is missing.*test, val, train, normal"):
        CULane.open(root, "shadow")
    with pytest.raises(InputError, match="no split 'testing': choose one of test, val"):
        CULane.open(root, "testing")
    (root / "list/test.txt").unlink()
    assert CULane.open(root).split == "val"
    lanes_file(root, "val/a.jpg").parent.mkdir()
    with pytest.raises(InputError, match=r"a\.lines\.txt"):
        CULane.open(root).label(CULane.open(root).frames[0])


def test_lists_without_scenarios_are_no_fault(root: Path) -> None:
    for path in (root / "list/test_split").iterdir():
        path.unlink()
    dataset = CULane.open(root)
    assert not dataset.problems and {frame.scenario for frame in dataset.frames} == {""}


def test_a_list_may_not_lead_out_of_the_dataset(root: Path) -> None:
    write_list(root, "test.txt", ["/../../secret.jpg"])
    with pytest.raises(InputError, match="outside of the dataset"):
        CULane.open(root)


def test_lanes_are_read_as_the_official_tool_reads_them() -> None:
    lanes, damaged = parse_lanes("1 2 3 4 \r\n\n5 6 7\n1 x 3 4\n1e1 -2.5 nan 4\n")
    assert [lane.tolist() for lane in lanes] == [[[1, 2], [3, 4]], [], [[5, 6]], [], [[10, -2.5]]]
    assert damaged == [3, 4, 5]
    assert parse_lanes("") == ([], [])
    assert len(parse_lanes("\n")[0]) == 1


def test_predictions_come_back_and_survive(root: Path, tmp_path: Path) -> None:
    dataset = CULane.open(root)
    first, second = dataset.frames[:2]
    lane = np.array([[100.123456, 589.0], [-20.5, 300.25]])
    filed = dataset.predictions(tmp_path / "out")
    assert filed.done() == set()
    filed.write(first, [lane, lane[:1], lane + 7], None, 3.0)
    filed.write(second, [], None, 3.0)
    again = CULane.open(root).predictions(tmp_path / "out")
    assert again.done() == {first.name, second.name}
    read = again.read(first)
    assert len(read) == 2 and np.abs(read[0] - lane).max() <= 1e-5 / 2
    assert again.read(second) == []
    assert (tmp_path / "out" / NAMES[0]).with_suffix(".lines.txt").read_text().startswith("100.12346 589.00000 -20.5")


def test_damaged_and_missing_predictions_are_named(root: Path, tmp_path: Path) -> None:
    dataset = CULane.open(root)
    filed = dataset.predictions(tmp_path / "out")
    with pytest.raises(InputError, match=r"00000\.lines\.txt"):
        filed.read(dataset.frames[0])
    filed.write(dataset.frames[0], [], None, 0.0)
    lanes_file(tmp_path / "out", NAMES[0]).write_text(f"{LANE}\n{LANE} 12.\n")
    with pytest.raises(InputError, match=r"00000\.lines\.txt is damaged in line 2"):
        filed.read(dataset.frames[0])


def test_a_folder_in_the_way_is_explained(root: Path, tmp_path: Path) -> None:
    dataset = CULane.open(root)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        dataset.predictions(tmp_path / "out").write(dataset.frames[0], [], None, 0.0)
