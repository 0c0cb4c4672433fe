"""Sources by name: rendered scenes, what a detector of another input reads, and kinds that come from outside."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import content_hash, find_images, image_set, image_size, read_image
from sfcore.datasets.scenes import render
from sfcore.datasets.source import SOURCES, Source, absolute, is_there, source_of
from sfcore.datasets.sources import scenes
from sfcore.errors import InputError

FIRST = 40_000_000  # the renderer's seed of the first scene of seed 0; another would change results on record


def test_scenes_are_frames_by_count_and_seed_and_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = find_images(["scenes:3,seed=7"])
    assert [str(frame) for frame in frames] == [f"scenes:3,seed=7/00000{number}" for number in range(3)]
    for number, frame in enumerate(frames):
        assert np.array_equal(read_image(frame), render(FIRST + 70_000 + number).image)
    assert image_size(frames[0]) == (360, 640) and is_there(frames[0])
    assert not list(tmp_path.iterdir())


def test_scenes_are_rendered_only_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "render", None)
    assert len(content_hash(find_images(["scenes:9000"]))) == 64
    assert len(open_dataset(Path("scenes:20")).frames) == 20


def test_parts_and_limits_of_scenes_are_those_of_any_source() -> None:
    assert find_images(["scenes:600[:100]"]) == find_images(["scenes:600"])[:100]
    assert [frame.name for frame in find_images(["scenes:40[-3::2]"])] == ["000037", "000039"]
    found = image_set(["scenes:40", "scenes:2,seed=1"], limit=6)
    assert [found.source_index.count(source) for source in (0, 1)] == [4, 2]
    with pytest.raises(InputError, match=r"scenes:5\[7:\] selects none of the images of scenes:5"):
        find_images(["scenes:5[7:]"])


def test_a_frame_is_a_source_of_its_own() -> None:
    frame = find_images(["scenes:5"])[3]
    assert find_images([frame]) == [frame]


def test_the_hash_tells_scenes_apart_whatever_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many, others = (find_images([name]) for name in ("scenes:5", "scenes:9[:5]", "scenes:5,seed=1"))
    assert few != many and content_hash(few) == content_hash(many)
    assert not {content_hash([frame]) for frame in few} & {content_hash([frame]) for frame in others}
    before = content_hash(few)
    monkeypatch.setattr(scenes, "VERSION", 99)  # of a renderer that draws another picture
    assert content_hash(few) != before


def test_what_lies_on_the_disk_goes_before_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("scenes:600")
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((10, 20, 3), 90, np.uint8))
    assert find_images(["scenes:600"]) == find_images(["scenes:600[:5]"]) == [folder / "a.png"]
    assert read_image(folder / "a.png").shape == (10, 20, 3)
    assert absolute("scenes:600[:5]") == f"{tmp_path}/scenes:600[:5]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scenes:", "names no rendered scenes: write scenes:COUNT or scenes:COUNT,seed=N"),
        ("scenes:many", "names no rendered scenes"),
        ("scenes:0", "1 to 10,000 scenes"),
        ("scenes:10001", "1 to 10,000 scenes"),
        ("scenes:5,seed=x", "such as scenes:600,seed=7"),
        ("scenes:5/000005", "names no rendered scenes"),
        ("scenes:5[night]", "not divided into splits such as 'night'"),
    ],
)
def test_what_names_no_scenes_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_images([text])


def test_scenes_are_a_labelled_dataset() -> None:
    dataset = open_dataset(Path("scenes:12,seed=2"))
    assert (layout_of(Path("scenes:12,seed=2")), dataset.metric) == ("rendered", "culane")
    for number in (0, 11):
        frame, scene = dataset.frames[number], render(FIRST + 20_000 + number)
        label = dataset.label(frame)
        assert label and frame.scenario == scene.scenario and dataset.size(frame) == scene.image.shape[:2]
        assert [lane.tolist() for lane in label.lanes] == [lane.tolist() for lane in scene.lanes]


def test_sources_of_another_input_are_found_by_its_formats(tmp_path: Path) -> None:
    for name in ("b.npy", "a.NPY", "c.png"):
        (tmp_path / name).touch()
    (tmp_path / "drive.mp4").touch()
    points = [".npy", ".bin"]
    assert [file.name for file in find_images([tmp_path], formats=points)] == ["a.NPY", "b.npy"]
    assert image_set([tmp_path / "b.npy"], formats=points).files == (tmp_path / "b.npy",)
    for source, said in (
        (tmp_path / "c.png", r"c\.png is no file that can be read: convert it to one of \.npy, \.bin"),
        (tmp_path / "drive.mp4", r"drive\.mp4 is no file that can be read"),
        (tmp_path / "nowhere", r"it must be a folder or a \.npy or \.bin file"),
        ("scenes:5", r"rendered scenes are images, and this detector reads \.npy, \.bin"),
    ):
        with pytest.raises(InputError, match=said):
            find_images([source], formats=points)
    with pytest.raises(InputError, match=r"it must hold \.las files or a dataset"):
        find_images([tmp_path], formats=[".las"])


def test_only_paths_depend_on_where_one_is() -> None:
    assert absolute("frames[:9]") == os.path.abspath("frames[:9]")
    assert absolute("scenes:600,seed=7[:9]") == "scenes:600,seed=7[:9]"


class Grey(Source):
    """``grey:N``: N images, each of one grey."""

    def fits(self, place: Path) -> bool:
        return str(place).startswith("grey:")

    def frames(self, place: Path, split: str | None, part: slice, formats: Collection[str]) -> list[Path]:
        return [Path(f"{place}/{number}") for number in range(int(str(place).partition(":")[2]))[part]]

    def read(self, frame: Path) -> np.ndarray:
        return np.full((4, 6, 3), int(frame.name), np.uint8)

    def content(self, frame: Path) -> bytes:
        return frame.name.encode()

    def file(self, frame: Path) -> None:
        return None


@pytest.fixture
def grey() -> Iterator[None]:
    SOURCES.names()  # what ships goes first
    SOURCES.register("grey")(Grey)
    yield
    del SOURCES._things["grey"]


def test_another_kind_is_one_class_that_registers_itself(grey: None) -> None:
    frames = find_images(["grey:5[1:3]", "scenes:1"])
    assert [read_image(frame).shape for frame in frames] == [(4, 6, 3), (4, 6, 3), (360, 640, 3)]
    assert read_image(frames[1]).max() == 2 and image_size(frames[0]) == (4, 6)
    assert isinstance(source_of(frames[0]), Grey) and content_hash(frames[:1]) != content_hash(frames[1:2])
