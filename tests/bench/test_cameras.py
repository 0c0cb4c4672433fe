"""Frames by camera: what is calibrated on and what is judged on share no camera, and all cameras have a like share."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import cameras
from benchmarks.camera_draw import apart, by_camera, camera_of, deal, draw
from benchmarks.camera_tables import tables
from sfcore.errors import InputError

FRAMES = [Path(f"roads/city-{camera}-{frame:02}.jpg") for camera in "abcdef" for frame in range(ord(camera) - 95)]
CAMERAS = by_camera(FRAMES)  # a has 2 frames, f has 7


def counts(frames: list[Path]) -> Counter[str]:
    return Counter(map(camera_of, frames))


def test_a_camera_is_a_folder_and_a_name_without_its_number() -> None:
    assert {name: len(frames) for name, frames in CAMERAS.items()} == {
        f"roads/city-{camera}": ord(camera) - 95 for camera in "abcdef"
    }
    assert camera_of(Path("one/0001.jpg")) != camera_of(Path("other/0001.jpg"))


def test_cameras_are_left_out_by_the_beginning_of_their_names() -> None:
    assert set(by_camera(FRAMES, ["city-a", "city-f"])) == {f"roads/city-{camera}" for camera in "bcde"}


def test_frames_are_dealt_in_turns_until_a_camera_has_no_more() -> None:
    assert set(counts(deal(CAMERAS, 12, 0)).values()) == {2}
    assert sorted(counts(deal(CAMERAS, 15, 0)).values()) == [2, 2, 2, 3, 3, 3]
    assert sorted(deal(CAMERAS, len(FRAMES), 3)) == sorted(FRAMES)
    with pytest.raises(InputError, match="28 frames of 6 cameras, which have 27"):
        deal(CAMERAS, 28, 0)


@pytest.mark.parametrize("seed", range(5))
def test_frames_of_so_many_cameras_are_alike_of_each(seed: int) -> None:
    found = counts(draw(CAMERAS, 10, 3, seed))
    assert sorted(found.values()) == [3, 3, 4]
    assert all(len(CAMERAS[name]) >= 4 for name in found)


def test_a_seed_decides_what_is_drawn() -> None:
    assert draw(CAMERAS, 8, 2, 1) == draw(CAMERAS, 8, 2, 1) != draw(CAMERAS, 8, 2, 2)


@pytest.mark.parametrize(("count", "number"), [(24, 4), (3, 4)])
def test_more_than_there_is_cannot_be_drawn(count: int, number: int) -> None:
    with pytest.raises(InputError, match=f"{count} frames of {number} cameras"):
        draw(CAMERAS, count, number, 0)


def test_cameras_apart_are_of_one_side_alone() -> None:
    taken, rest = apart(CAMERAS, 2, 0)
    assert len(taken) == 2 and not set(taken) & set(rest) and {**taken, **rest} == CAMERAS


def files(folder: Path, *names: str) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    return str(folder)


def given(tmp_path: Path, test: str) -> Namespace:
    many = [f"town{camera:02}x-{frame}.jpg" for camera in range(30) for frame in range(5)]
    clips = [files(tmp_path / name, *(f"{frame:04}.jpg" for frame in range(40))) for name in ("first", "second")]
    return Namespace(
        cameras=files(tmp_path / "roads", *many), clips=clips, test=[test], without=["town03"], distil_steps=1
    )


def test_no_material_has_a_camera_that_is_judged_on(tmp_path: Path) -> None:
    stock = cameras.Stock.of(given(tmp_path, files(tmp_path / "other", "far-1.jpg", "far-2.jpg")))
    judged, deciding = counts(list(stock.judged)), counts(list(stock.deciding))
    assert not judged.keys() & deciding.keys() and not {*judged, *deciding} & stock.drawable.keys()
    assert not any("town03" in name for name in {*judged, *deciding, *stock.drawable})
    for name in ("one clip", "two clips", "cameras", "cameras + scenes"):
        found = cameras.MATERIALS[name](stock, 12, 0)
        assert len(set(found)) == 12 and not counts(found).keys() & {*judged, *deciding}
    assert set(counts(cameras.MATERIALS["two clips"](stock, 12, 0)).values()) == {6}


def test_a_camera_on_both_sides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="first/: judged on and calibrated on"):
        cameras.Stock.of(given(tmp_path, str(tmp_path / "first")))


def test_tables_show_means_over_seeds_and_leave_unmeasured_cells_empty() -> None:
    about = {"material": "cameras", "frames": 8, "bits": "W8A8", "steps": 0, "corrected": True, "distortion": 5.0}
    rows = [{**about, "number": None, "f1": 0.5}, {**about, "number": 4, "f1": 0.7}, {**about, "number": 4, "f1": 0.9}]
    rows.append({**about, "number": 4, "frames": 16, "f1": 0.95})
    lines = tables(rows).splitlines()
    assert "| cameras, 8 | 0.500 (5.0) |" in lines
    assert "| 8 | 0.500 (5.0) | 0.800 ± 0.141 (5.0) |" in lines and "| 16 |  | 0.950 (5.0) |" in lines
