"""Sweeps in files: each format against bytes written by hand, and what is damaged is refused by name."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sfcore.datasets.images import find_images
from sfcore.datasets.lidar import files
from sfcore.datasets.lidar.files import FORMATS, read_points
from sfcore.errors import InputError

ROWS = [(1.5, -2.0, 0.25, 0.5), (10.0, 20.0, -1.5, 0.0), (-3.0, 4.0, 0.0, 1.0)]
PCD = "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 3\nHEIGHT 1\n"


def packed(form: str, rows: list[tuple[float, ...]]) -> bytes:
    return b"".join(struct.pack(form, *row) for row in rows)


def npy(path: Path, values: np.ndarray) -> bytes:
    np.save(path, values)
    return path.read_bytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


GOOD = {
    "kitti.bin": packed("<4f", ROWS),
    "KITTI.BIN": packed("<4f", ROWS),
    "nuscenes.pcd.bin": packed("<5f", [(x, y, z, light * 255, ring) for ring, (x, y, z, light) in enumerate(ROWS)]),
    "text.pcd": (PCD + "POINTS 3\nDATA ascii\n" + "\n".join(" ".join(map(str, row)) for row in ROWS)).encode(),
    "binary.pcd": (PCD + "POINTS 3\nDATA binary\n").encode() + packed("<4f", ROWS),
    "no_points_line.pcd": (PCD + "DATA binary\n").encode() + packed("<4f", ROWS),
    "padded.pcd": b"FIELDS ring _ x _ y z intensity\nSIZE 2 1 4 1 8 4 1\nTYPE U U F U F F U\nCOUNT 1 2 1 1 1 1 1\n"
    b"WIDTH 3\nHEIGHT 1\nDATA binary\n"
    + packed("<H2sfcdfB", [(7, b"ab", x, b"c", y, z, int(light * 255)) for x, y, z, light in ROWS]),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_every_format_gives_the_same_four_numbers(name: str, tmp_path: Path) -> None:
    points = read_points(written(tmp_path / name, GOOD[name]))
    assert points.dtype == np.float32 and points.shape == (3, 4)
    assert points == pytest.approx(np.array(ROWS), abs=1 / 255)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", "<f2"])
def test_arrays_of_three_or_more_numbers_are_read(dtype: str, tmp_path: Path) -> None:
    rows = np.array(ROWS).astype(dtype)
    np.save(tmp_path / "four.npy", rows)
    np.save(tmp_path / "five.npy", np.c_[rows, rows[:, 0]].astype(dtype))
    np.save(tmp_path / "three.npy", np.asfortranarray(rows[:, :3]))
    assert read_points(tmp_path / "four.npy") == pytest.approx(np.array(ROWS))
    assert read_points(tmp_path / "five.npy") == pytest.approx(np.array(ROWS))
    assert (read_points(tmp_path / "three.npy")[:, 3] == 0).all()


def test_a_pcd_without_intensity_is_dark(tmp_path: Path) -> None:
    header = b"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 1\nHEIGHT 1\nDATA ascii\n1 2 3\n"
    assert read_points(written(tmp_path / "a.pcd", header)).tolist() == [[1, 2, 3, 0]]


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    rows = [ROWS[0], (np.nan, 0, 0, 0), (0, np.inf, 0, 0), (0, 0, 0, np.nan), ROWS[1]]
    assert len(read_points(written(tmp_path / "a.bin", packed("<4f", rows)))) == 2


def test_reflectance_is_brought_to_the_unit_interval(tmp_path: Path) -> None:
    counted = packed("<4f", [(1, 1, 1, 51), (1, 1, 1, 255), (1, 1, 1, -3)])
    assert read_points(written(tmp_path / "a.bin", counted))[:, 3].tolist() == pytest.approx([0.2, 1, 0])


BAD = {
    ("a.bin", b""): "is empty",
    ("a.bin", b"x" * 15): "no multiple of the 16",
    ("a.bin", GOOD["nuscenes.pcd.bin"]): "must be called .pcd.bin",
    ("a.pcd.bin", GOOD["kitti.bin"]): "no multiple of the 20",
    ("a.bin", packed("<4f", [(np.nan,) * 4] * 2)): "no finite point among 2",
    ("a.bin", packed("<4f", [(1e30, 0, 0, 0)])): r"coordinate of 1e\+30 m",
    ("a.npy", b"\x93NUMPY\x01\x00nothing"): "no .npy file",
    ("a.npy", b"PK\x05\x06" + bytes(18)): "no .npy file",
    ("a.txt", b"1 2 3"): "must be one of .pcd.bin, .bin, .npy, .pcd",
    ("a.pcd", b"hello"): "has no header of a .pcd file",
    ("a.pcd", (PCD + "POINTS 3\nDATA binary_compressed\n").encode()): "DATA binary_compressed, which is not read",
    ("a.pcd", (PCD + "POINTS 9\nDATA binary\n").encode() + GOOD["kitti.bin"]): "is truncated",
    ("a.pcd", (PCD + "POINTS 3\nDATA ascii\n1 2 3").encode()): "has 3 numbers and its header says 3 points of 4",
    ("a.pcd", (PCD + "POINTS 3\nDATA ascii\n1 2 three").encode()): "a point that is no number",
    ("a.pcd", (PCD.replace("F F F F", "F F F G") + "POINTS 3\nDATA ascii\n1").encode()): "damaged one",
    ("a.pcd", (PCD.replace("x y z", "x y q") + "POINTS 3\nDATA binary\n").encode() + GOOD["kitti.bin"]): "but no z",
    ("a.pcd", (PCD + "POINTS -3\nDATA binary\n").encode() + GOOD["kitti.bin"]): "damaged one",
    ("a.pcd", (PCD + "POINTS 99999999999999\nDATA binary\n").encode() + GOOD["kitti.bin"]): "is truncated",
}


@pytest.mark.parametrize(("name", "content", "said"), [(*key, said) for key, said in BAD.items()], ids=range(len(BAD)))
def test_what_cannot_be_read_is_refused_by_name(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InputError, match=said) as refused:
        read_points(path)
    assert str(path) in str(refused.value)


def test_arrays_of_other_things_are_refused(tmp_path: Path) -> None:
    for values in (np.zeros((3, 2)), np.zeros(12), np.array([["a"] * 4] * 2), np.zeros((2, 4), bool)):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(InputError, match="it must hold numbers of shape"):
            read_points(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"is no \.npy file of numbers"):
        read_points(tmp_path / "b.npy")


def test_an_array_whose_header_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    content = npy(tmp_path / "a.npy", np.zeros((3, 4))).replace(b"(3, 4)", b"(9999999999999, 4)")
    with pytest.raises(InputError, match="truncated"):
        read_points(written(tmp_path / "a.npy", content))


def test_large_files_and_many_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.bin", GOOD["kitti.bin"])
    monkeypatch.setattr(files, "MOST_POINTS", 2)
    with pytest.raises(InputError, match="has 3 points: at most 2"):
        read_points(path)
    monkeypatch.setattr(files, "MOST_BYTES", 40)
    with pytest.raises(InputError, match="MB: at most"):
        read_points(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no sweep"):
        read_points(tmp_path / "none.bin")
    with pytest.raises(InputError, match="there is no sweep"):
        read_points(Path("a\0.bin"))
    (tmp_path / "folder.bin").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*folder\.bin"):
        read_points(tmp_path / "folder.bin")


@pytest.mark.parametrize("name", GOOD)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str, tmp_path: Path) -> None:
    random, content = Random(name), GOOD[name]
    for _ in range(150):
        data = bytearray(content[: random.randint(0, len(content))] if random.random() < 0.4 else content)
        for _ in range(random.randint(0, 6)):
            if data:
                data[random.randrange(len(data))] = random.randrange(256)
        try:
            points = read_points(written(tmp_path / name, bytes(data)))
        except InputError as error:
            assert str(tmp_path) in str(error) and "\n" not in str(error)
        else:
            assert (
                points.shape[1] == 4
                and np.isfinite(points).all()
                and 0 <= points[:, 3].min() <= points[:, 3].max() <= 1
            )


def test_folders_of_sweeps_are_found_by_both_their_suffixes(tmp_path: Path) -> None:
    for name in ("b.bin", "a.pcd.bin", "c.npy", "notes.txt", "d.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in find_images([tmp_path], formats=FORMATS)] == ["a.pcd.bin", "b.bin", "c.npy"]
    with pytest.raises(InputError, match=r"holds no frames: it must hold \.bin, \.npy, \.pcd files"):
        (tmp_path / "empty").mkdir()
        find_images([tmp_path / "empty"], formats=FORMATS)
