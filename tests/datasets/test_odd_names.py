"""Images, videos and labels under names of other systems, and what is no file though it is called like one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.images import find_images, image_size, read_image
from sfcore.datasets.layouts.culane import lanes_file
from sfcore.errors import InputError

GBK = os.fsdecode("道路".encode("gbk"))
NAMES = ("a:b", "file:c", "http:d", "-e", "f %d", "%03d", "g|h", 'i"j', "k\nl", "m?n#o", "[:3]", GBK, "夜" * 80)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 80 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture
def picture() -> bytes:
    return cv2.imencode(".png", np.full((10, 20, 3), 90, np.uint8))[1].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_videos_are_found_and_read_under_any_name(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    video = Path(f"{name}.mp4")  # from here, so that nothing stands before a colon
    shutil.copy(film, video)
    frames = open_dataset(video).frames
    assert [read_image(frame.image).mean().round(-1) for frame in frames] == [0, 80, 160]
    assert image_size(frames[2].image) == (48, 64)
    assert [file.name for file in find_images([f"{video}[1:]"])] == ["000001", "000002"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_found_read_and_filed_under_any_name(tmp_path: Path, picture: bytes, name: str) -> None:
    (tmp_path / f"{name}.png").write_bytes(picture)
    dataset = open_dataset(tmp_path)
    (frame,) = dataset.frames
    assert read_image(frame.image).shape == (10, 20, 3) and dataset.size(frame) == (10, 20)
    filed = dataset.predictions(tmp_path / "out")
    filed.write(frame, [np.array([[1.0, 2.0], [3.0, 4.0]])], None, 1)
    assert filed.done() == {frame.name} and filed.read(frame)[0].tolist() == [[1, 2], [3, 4]]


def test_folders_and_what_systems_leave_behind_are_no_images(tmp_path: Path, picture: bytes) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    for name in ("thumbs.jpg", "drive.mp4", "labels.json", "b.lines.txt", "test_label.json", "__MACOSX"):
        (tmp_path / name).mkdir()
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.png"):
        (tmp_path / name).write_bytes(b"left behind")
    assert find_images([tmp_path]) == [tmp_path / "a.png"]
    assert [frame.name for frame in open_dataset(tmp_path).frames] == ["a.png"]
    with pytest.raises(InputError, match=r"thumbs\.jpg holds no images"):
        find_images([tmp_path / "thumbs.jpg"])


def test_what_is_called_like_an_image_but_is_none_is_named_and_not_waited_for(tmp_path: Path, picture: bytes) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "c.png")
    os.mkfifo(tmp_path / "d.png")
    files = find_images([tmp_path])
    assert [file.name for file in files] == ["a.png", "b.png", "c.png", "d.png"]
    for file in files[1:]:
        for read in (read_image, image_size):
            with pytest.raises(InputError, match=rf"there is no (readable )?image .*{file.name}"):
                read(file)


def test_a_pipe_in_place_of_labels_is_named_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "test.txt").write_text("/a.jpg\n")
    os.mkfifo(lanes_file(tmp_path, "a.jpg"))
    dataset = open_dataset(tmp_path)
    with pytest.raises(InputError, match=r"a\.lines\.txt is no file but a pipe"):
        dataset.label(dataset.frames[0])


def test_a_name_that_no_disk_takes_is_refused_in_one_line(tmp_path: Path) -> None:
    for read in (read_image, image_size):
        with pytest.raises(InputError, match="image"):
            read(tmp_path / ("x" * 300 + ".png"))
