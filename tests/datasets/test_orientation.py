"""Pictures that lie on their side in the file: they are read upright, and their size is that of what is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.images import image_size, read_image
from sfcore.evaluation.metrics.curvelanes import evaluate_files
from tests.evaluation.test_curvelanes import upright as upright_lane
from tests.evaluation.test_curvelanes import write as write_lanes

STORED = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
# What each orientation makes of the stored picture, by the EXIF standard: where its row 0 and column 0 are.
SEEN = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.transpose(1, 0, 2),
    6: np.rot90(STORED, -1),
    7: STORED.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90(STORED),
}


def exif(value: int, kind: int = 3, order: str = "<", tag: int = 0x0112, count: int = 1, before: int = 0) -> bytes:
    """EXIF data of one orientation among other tags."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    content = {1: "B3x", 3: "H2x", 4: "I", 8: "h2x", 9: "i"}[kind]
    entries = [struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0")] * before
    entries.append(struct.pack(f"{order}HHI{content}", tag, kind, count, value))
    head = struct.pack(f"{order}IH", 8, len(entries))
    return b"Exif\0\0" + mark + head + b"".join(entries) + struct.pack(f"{order}I", 0)


def stored(form: str, data: bytes | None = None) -> bytes:
    """The stored picture as a file."""
    file = io.BytesIO()
    more = {"lossless": True} if form == "WEBP" else {}
    PIL.Image.fromarray(STORED).save(file, form, **more | ({"exif": data} if data is not None else {}))
    return file.getvalue()


def assert_agree(path: Path) -> None:
    image = read_image(path)
    assert image_size(path) == image.shape[:2]
    assert np.array_equal(image, cv2.imread(str(path))[..., ::-1])  # as every program that uses OpenCV reads it


@pytest.mark.parametrize("value", SEEN)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_pictures_are_read_upright_whatever_their_orientation(tmp_path: Path, form: str, value: int) -> None:
    path = tmp_path / "a.jpg"  # the name says nothing about the format
    path.write_bytes(stored(form, exif(value)))
    assert np.array_equal(read_image(path), SEEN[value])
    assert image_size(path) == SEEN[value].shape[:2]


@pytest.mark.parametrize("value", SEEN)
def test_jpeg_files_are_as_opencv_reads_them(tmp_path: Path, value: int) -> None:
    (tmp_path / "a.jpg").write_bytes(stored("JPEG", exif(value)))
    assert image_size(tmp_path / "a.jpg") == SEEN[value].shape[:2]
    assert_agree(tmp_path / "a.jpg")


@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]),
    data=st.builds(
        exif,
        st.integers(0, 10) | st.integers(0, 127),
        st.sampled_from([1, 3, 4, 8, 9]),
        st.sampled_from("<>"),
        st.sampled_from([0x0112, 0x0112, 0x0113]),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    cut=st.integers(0, 12) | st.just(0),
)
def test_the_size_is_that_of_what_is_read_even_where_exif_is_odd(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: bytes, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.jpg"
    path.write_bytes(stored(form, data[: len(data) - cut] if form != "BMP" else None))
    assert_agree(path)


def test_exif_behind_the_pixels_of_a_png_and_given_twice_counts_as_in_opencv(tmp_path: Path) -> None:
    def chunk(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))

    whole, first, second = stored("PNG"), chunk(exif(6)[6:]), chunk(exif(3)[6:])
    for number, data in enumerate((whole[:-12] + first + whole[-12:], whole[:33] + first + second + whole[33:])):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data)
        assert image_size(path) == (20, 12)
        assert_agree(path)


def test_a_dataset_and_a_metric_take_the_size_of_the_upright_picture(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(stored("JPEG", exif(6)))
    dataset = open_dataset(tmp_path / "images")
    assert dataset.size(dataset.frames[0]) == (20, 12)
    scale = [12 / 224, 20 / 224]
    write_lanes(tmp_path / "labels", "a", upright_lane(100) * scale)
    for beside, counts in ((0.10, [1, 0, 0]), (0.22, [0, 1, 1])):  # 1.9 and 4.1 px of 224; 1.1 and 2.5, if it lay down
        write_lanes(tmp_path / "out", "a", upright_lane(100) * scale + [beside, 0])
        assert evaluate_files(tmp_path / "out", tmp_path / "labels").counts[:, 0].tolist() == [counts]
