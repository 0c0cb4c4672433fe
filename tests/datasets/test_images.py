"""Finding and reading images, good and bad."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.images import content_hash, find_images, image_batches, image_set, read_image
from sfcore.errors import InputError


def noise(seed: int = 0, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def save(path: Path, rgb: np.ndarray) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images named 0 to 9, a text file, a hidden file and a folder with an image."""
    frames = tmp_path / "frames"
    (frames / "inner").mkdir(parents=True)
    for index in range(10):
        save(frames / f"{index}.png", noise(index))
    save(frames / "inner" / "0.png", noise())
    (frames / "notes.txt").write_text("not an image")
    (frames / "._0.png").write_bytes(b"what macOS leaves behind")
    return frames


def names(paths: list[Path]) -> str:
    return "".join(path.stem for path in paths)


def test_a_folder_gives_its_own_images_sorted(folder: Path) -> None:
    assert names(find_images([folder])) == "0123456789"


@pytest.mark.parametrize(("part", "expected"), [("[:3]", "012"), ("[7:]", "789"), ("[-2:]", "89"), ("[1::4]", "159")])
def test_a_part_of_a_folder(folder: Path, part: str, expected: str) -> None:
    assert names(find_images([f"{folder}{part}"])) == expected


def test_a_folder_whose_name_looks_like_a_part_is_that_folder(tmp_path: Path) -> None:
    odd = tmp_path / "frames[:1]"
    odd.mkdir()
    save(odd / "a.png", noise())
    save(odd / "b.png", noise())
    assert names(find_images([odd])) == "ab"


def test_sources_stay_apart_and_share_the_limit(folder: Path) -> None:
    single = folder / "inner" / "0.png"
    found = image_set([folder, single, f"{folder}[:4]"], limit=9)
    assert len(found) == 9
    assert [found.source_index.count(source) for source in range(3)] == [4, 1, 4]
    assert names([f for f, s in zip(found.files, found.source_index, strict=True) if s == 0]) == "0257"


def test_a_limit_beyond_the_images_takes_all(folder: Path) -> None:
    assert find_images([folder], 1000) == find_images([folder])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".PNG"])
def test_formats_are_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    flat = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    image = read_image(save(tmp_path / f"flat{suffix}", flat))
    assert image.shape == flat.shape and image.dtype == np.uint8
    assert np.abs(image.astype(int) - flat).max() <= 4  # lossy formats


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_truncated_images_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"cut{suffix}", noise(size=(64, 64)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.\w+ is (truncated|no image|damaged)"):
        read_image(path)


def test_bytes_after_the_end_of_an_image_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", noise())
    path.write_bytes(path.read_bytes() + b"camera maker's notes")
    assert np.array_equal(read_image(path), noise())


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"plain text", "no image"), (b"\x89PNG\r\n\x1a\n", "no image")]
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.png.*{said}"):
        read_image(path)


@pytest.mark.parametrize("side", [8001, 60000])
def test_huge_images_are_refused_before_they_are_decoded(tmp_path: Path, side: int) -> None:
    """A decompression bomb: the header promises side x side pixels, and there is no data for them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(InputError, match=r"bomb\.png has more than 64 megapixels"):
        read_image(path)


def test_sources_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        find_images([tmp_path])
    with pytest.raises(InputError, match=r"no images at .*nowhere"):
        find_images([tmp_path / "nowhere"])
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"notes\.txt is no image file"):
        find_images([tmp_path / "notes.txt"])
    with pytest.raises(InputError, match="no images were given"):
        find_images([])


def test_wrong_limits_and_parts_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="limit is 0"):
        find_images([folder], 0)
    with pytest.raises(InputError, match="selects none of the images of"):
        find_images([f"{folder}[20:]"])


def test_the_hash_depends_on_contents_and_order_but_not_on_names(folder: Path, tmp_path: Path) -> None:
    files = find_images([folder])
    copy = tmp_path / "other-name.png"
    copy.write_bytes(files[0].read_bytes())
    assert content_hash([copy, *files[1:]]) == content_hash(files)
    assert content_hash(files[::-1]) != content_hash(files)


def test_batches_cover_all_images_in_order(folder: Path) -> None:
    files = find_images([folder])
    batches = list(image_batches(files, 4))
    assert [done for done, _ in batches] == [4, 8, 10]
    assert np.array_equal(batches[2][1][1], noise(9))
