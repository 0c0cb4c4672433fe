"""The LLAMAS layout: lanes made of markers by the published rules, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.layouts.llamas import read_lanes
from sfcore.errors import InputError
from sfcore.evaluation.metric import METRICS


def marker(start: tuple[int, int], end: tuple[int, int], z: float) -> dict[str, Any]:
    """From ``start`` to ``end`` in pixels, ``z`` metres ahead; all numbers are text, as in the files."""
    pixels = {f"pixel_{name}": {"x": str(x), "y": str(y)} for name, (x, y) in (("start", start), ("end", end))}
    return {**pixels, "world_start": {"x": "0", "y": "0", "z": str(z)}}


def write(path: Path, lanes: dict[str, list[dict[str, Any]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"lane_id": name, "markers": markers} for name, markers in lanes.items()]
    path.write_text(json.dumps({"lanes": entries, "projection_matrix": []}))
    return path


def upright(x: int) -> list[dict[str, Any]]:
    """A lane of two vertical markers, which are not prolonged."""
    return [marker((x, 600), (x, 560), 5), marker((x, 500), (x, 480), 9)]


def test_the_two_lanes_nearest_to_each_side_are_kept_from_left_to_right(tmp_path: Path) -> None:
    lanes = {"r2": upright(990), "l0": upright(500), "r0": upright(700), "l1": upright(300), "l2": upright(100)}
    lanes |= {"r1": [marker((800, 600), (800, 560), 5)]}  # one marker is no lane, so r2 is the second
    found = read_lanes(write(tmp_path / "a.json", lanes))
    assert [float(line[0, 0]) for line in found] == [300, 500, 700, 990]
    assert found[0][:, 1].tolist() == [*range(480, 501), *range(560, 601)]


def test_lanes_of_little_height_are_dropped(tmp_path: Path) -> None:
    low = [marker((500, 600), (500, 590), 5), marker((500, 581), (500, 400), 9)]
    assert read_lanes(write(tmp_path / "a.json", {"l0": low})) == []
    low[1]["pixel_start"]["y"] = "580"
    assert len(read_lanes(write(tmp_path / "a.json", {"l0": low}))) == 1


def test_the_nearest_marker_is_prolonged_to_the_border(tmp_path: Path) -> None:
    slanted = [marker((600, 500), (650, 450), 9), marker((500, 600), (550, 550), 5)]
    (line,) = read_lanes(write(tmp_path / "a.json", {"l0": slanted}))
    assert line[-1].tolist() == [384, 716]  # 116 rows below (500, 600), at 45 degrees
    assert np.allclose(line.sum(1), 1100)
    flat = [marker((100, 600), (200, 550), 5), marker((300, 500), (400, 450), 9)]  # leaves at the left side
    (line,) = read_lanes(write(tmp_path / "a.json", {"l0": flat}))
    assert line[-1].tolist() == [0, 650]


def test_where_markers_share_a_row_the_mean_counts(tmp_path: Path) -> None:
    double = [marker((500, 600), (500, 560), 5), marker((510, 575), (510, 500), 6)]
    (line,) = read_lanes(write(tmp_path / "a.json", {"l0": double}))
    at = dict(zip(line[:, 1].tolist(), line[:, 0].tolist(), strict=True))
    assert (at[595], at[570], at[520]) == (500, 505, 510)
    assert at[575] == pytest.approx((500 + 510 + 510) / 3)  # a start counts twice


def test_splits_frames_and_damaged_labels(tmp_path: Path) -> None:
    for split in ("valid", "test"):
        image = tmp_path / "color_images" / split / "drive-1" / "0001_color_rect.png"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"")
    label = write(tmp_path / "labels" / "valid" / "drive-1" / "0001.json", {"l0": upright(500)})
    dataset = open_dataset(tmp_path)
    assert (layout_of(tmp_path), dataset.split, dataset.splits(tmp_path)) == ("llamas", "valid", ("valid", "test"))
    (frame,) = dataset.frames
    assert (frame.name, frame.image.exists()) == ("drive-1/0001.png", True)
    assert len(dataset.label(frame).lanes) == 1
    filed = dataset.predictions(tmp_path / "out")
    filed.write(frame, [np.array([[1.0, 2.0], [3.0, 4.0]])], None, 1)
    assert (tmp_path / "out" / "drive-1" / "0001.lines.txt").is_file()

    unlabelled = open_dataset(tmp_path, "test")
    assert [each.name for each in unlabelled.frames] == ["drive-1/0001.png"]
    assert unlabelled.label(unlabelled.frames[0]) is None
    with pytest.raises(InputError, match="no split 'val'"):
        open_dataset(tmp_path, "val")
    with pytest.raises(InputError, match=r"color_images.train is missing"):
        open_dataset(tmp_path, "train")
    label.write_text(label.read_text()[:-20])
    with pytest.raises(InputError, match=r"0001\.json is no LLAMAS label"):
        dataset.label(frame)
    label.unlink()
    with pytest.raises(InputError, match=r"there is no label .*0001\.json"):
        dataset.label(frame)


def test_lanes_are_drawn_as_wide_as_in_published_results(tmp_path: Path) -> None:
    """Two upright lanes 9 px apart and 31 columns wide share 22 of 40; at 23 px, CULane's share, 14 of 32."""
    write(tmp_path / "labels" / "valid" / "a" / "1.json", {"l0": upright(500)})
    (tmp_path / "color_images" / "valid" / "a").mkdir(parents=True)
    dataset = open_dataset(tmp_path)
    label = dataset.label(dataset.frames[0])
    assert label is not None
    beside = [label.lanes[0] + [9, 0]]
    assert METRICS[dataset.metric]().frame(beside, label, (717, 1276))["tp"] == 1
    assert METRICS["culane"]().frame(beside, label, (717, 1276))["tp"] == 0
