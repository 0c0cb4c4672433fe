"""Videos as sources of images: each frame shows its number in black and white bars."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets import videos
from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import content_hash, find_images, image_set, read_image
from sfcore.errors import InputError

BITS = 6  # bars, each 10 pixels wide: up to 64 frames
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}


def film(path: Path, count: int = 40) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODECS[path.suffix]), 10, (10 * BITS, 48))
    for number in range(count):
        bars = [255 * (number >> bit & 1) for bit in range(BITS)]
        writer.write(np.repeat(np.repeat(bars, 10)[None, :, None], 48, 0).astype(np.uint8).repeat(3, 2))
    writer.release()
    return path


def shown(path: Path) -> int:
    """The number that a frame shows."""
    bars = read_image(path).reshape(48, BITS, 10, 3).mean((0, 2, 3)) > 128
    return int((bars << np.arange(BITS)).sum())


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    return film(tmp_path / "drive.mp4")


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_is_found_by_its_number(tmp_path: Path, suffix: str) -> None:
    files = find_images([film(tmp_path / f"drive{suffix}")])
    assert [file.relative_to(tmp_path).as_posix() for file in files[:2]] == [
        f"drive{suffix}/000000",
        f"drive{suffix}/000001",
    ]
    assert [shown(file) for file in files] == list(range(40))


def test_frames_are_exact_in_any_order(drive: Path) -> None:
    for number in np.random.default_rng(0).permutation(40)[:12].tolist():
        assert shown(drive / f"{number:06d}") == number
        assert shown(drive / f"{number:06d}") == number  # once more, without moving


@pytest.mark.parametrize(
    ("part", "numbers"), [("[:3]", [0, 1, 2]), ("[::15]", [0, 15, 30]), ("[-2:]", [38, 39]), ("[38:90]", [38, 39])]
)
def test_parts_of_videos(drive: Path, part: str, numbers: list[int]) -> None:
    assert [shown(file) for file in find_images([f"{drive}{part}"])] == numbers


def test_a_part_at_the_beginning_is_counted_no_further(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    advance = videos._Reader.advance
    monkeypatch.setattr(videos._Reader, "advance", lambda reader: decoded.append(1) or advance(reader))
    videos.frames(drive, slice(0, 6, 2))
    assert len(decoded) == 6


def test_videos_mix_with_other_sources_and_single_frames(drive: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    found = image_set([tmp_path / "a.png", f"{drive}[::10]", drive / "000007"])
    assert found.source_index == (0, 1, 1, 1, 1, 2)
    assert [shown(file) for file in found.files[1:]] == [0, 10, 20, 30, 7]


def test_several_videos_are_read_in_turns(tmp_path: Path) -> None:
    files = [film(tmp_path / f"{name}.avi", 5) for name in "abcdef"]  # more than stay open
    for number in range(5):
        assert [shown(file / f"{number:06d}") for file in files] == [number] * 6


def test_a_video_replaced_by_another_is_read_anew(drive: Path, tmp_path: Path) -> None:
    assert len(find_images([drive])) == 40 and shown(drive / "000039") == 39
    shutil.copy(film(tmp_path / "other.mp4", 20), drive)
    os.utime(drive, ns=(1, 1))
    assert len(find_images([drive])) == 20 and shown(drive / "000000") == 0
    with pytest.raises(InputError, match=r"drive\.mp4 has no frame 39: choose one of 0 to 19"):
        read_image(drive / "000039")
    assert shown(drive / "000019") == 19


def test_a_truncated_video_has_the_frames_that_decode(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = film(tmp_path / "drive.avi")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    files = find_images([path])
    assert 10 < len(files) < 40
    assert [shown(file) for file in files[:-1]] == list(range(len(files) - 1))  # the last one may be cut
    assert open_dataset(path).problems == [
        f"{path} promises 40 frames, but only the first {len(files)} can be decoded",
    ]
    assert capfd.readouterr().err == ""


def test_a_video_of_countless_frames_is_refused_and_a_part_of_it_is_not(
    drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "MOST_FRAMES", 39)
    with pytest.raises(InputError, match=r"has more than 39 frames: name a part of it, such as drive\.mp4\[:1000\]"):
        find_images([drive])
    assert len(find_images([f"{drive}[:3]"])) == 3
    monkeypatch.setattr(videos, "MOST_FRAMES", 40)
    assert len(find_images([drive])) == 40


@pytest.mark.parametrize("name", ["drive.mp4", "drive.avi"])
def test_a_video_whose_frames_claim_any_size_or_number_is_refused(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name)
    content = bytearray(path.read_bytes())
    for found in re.finditer(rb"\xff\xc0\x00\x11\x08", bytes(content)):  # of MJPG: each frame says its own
        content[found.end() : found.end() + 4] = b"\xfd\xe8\xfd\xe8"
    if name.endswith(".mp4"):
        place = content.find(b"stsz")
        content[place + 8 : place + 16] = b"\0\0\0\1\x7f\xff\xff\xff"  # 2³¹ frames of a byte each
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no frame that can be decoded"):
        find_images([path])


@pytest.mark.parametrize("boxes", [(b"mdhd",), (b"mvhd", b"mdhd")])
def test_a_video_without_a_time_scale_is_refused_where_frames_are_missing(
    drive: Path, boxes: tuple[bytes, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(drive.read_bytes())
    for box in boxes:
        place = content.index(box) + 16  # after the version and two dates
        content[place : place + 4] = bytes(4)
    drive.write_bytes(content)
    for part in ("", "[:5]"):
        with pytest.raises(InputError, match=r"drive\.mp4 gives [0-9] of its 40 frames, .* time scale is damaged"):
            find_images([f"{drive}{part}"])
    assert [shown(file) for file in find_images([f"{drive}[:1]"])] == [0]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b"no video", "half"])
def test_what_is_no_video_is_refused_in_one_line(
    drive: Path, content: bytes | str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = drive.read_bytes()
    drive.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])  # its index is at the end
    for use in (lambda: find_images([drive]), lambda: read_image(drive / "000000"), lambda: open_dataset(drive)):
        with pytest.raises(InputError, match=r"drive\.mp4 holds no frame that can be decoded"):
            use()
    assert capfd.readouterr().err == ""


def test_missing_videos_and_empty_parts_are_refused(drive: Path) -> None:
    with pytest.raises(InputError, match=r"no images at .*gone\.mp4"):
        find_images([drive.parent / "gone.mp4"])
    with pytest.raises(InputError, match=r"there is no image .*gone\.mp4.000001"):
        read_image(drive.parent / "gone.mp4" / "000001")
    with pytest.raises(InputError, match=r"drive\.mp4\[50:\] selects none of the images"):
        find_images([f"{drive}[50:]"])


def test_the_hash_of_a_frame_is_of_its_pixels(drive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(drive, tmp_path / "copy.mp4"))
    assert content_hash([drive / "000003"]) == content_hash([copy / "000003"])
    assert content_hash([drive / "000003"]) != content_hash([drive / "000004"])


def test_a_video_is_a_dataset_without_labels(drive: Path, tmp_path: Path) -> None:
    dataset = open_dataset(drive)
    frame = dataset.frames[7]
    assert (layout_of(drive), dataset.metric, len(dataset.frames), dataset.problems) == (None, "", 40, [])
    assert (frame.name, shown(frame.image), dataset.size(frame)) == ("drive/000007", 7, (48, 60))
    assert dataset.label(frame) is None
    filed = dataset.predictions(tmp_path / "found")
    filed.write(frame, [np.array([[1.0, 2.0], [3.0, 4.0]])], None, 1)
    assert dataset.predictions(tmp_path / "found").done() == {"drive/000007"}
    assert filed.read(frame)[0].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="not divided into splits such as 'test'"):
        open_dataset(drive, "test")
