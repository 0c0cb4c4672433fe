"""What a server for several people reads, and what it refuses, by every spelling."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import open_dataset
from sfcore.datasets.images import content_hash, find_images, read_image
from sfcore.datasets.videos import PLAIN_CONTAINERS, count_frames
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.quant.scheme import Scheme
from sfcore.resources import sample_data
from sfcore.roots import UPLOADS, allowed, check_listed, readable
from sfcore.serving import Serving

OUTSIDE = "is outside of what this server may read"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that a server may read, with an image; beside it others', the runs, caches and uploads."""
    root = tmp_path / "data"
    for folder in (root, tmp_path / "secret", tmp_path / "runs" / "theirs" / "images", tmp_path / "tmp"):
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "a.png"), np.zeros((36, 64, 3), np.uint8))
    monkeypatch.setenv("SFCORE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name, value in Serving((str(root),)).environment.items():
        monkeypatch.setenv(name, value)
    return root


def test_what_lies_in_a_root_is_read_and_the_samples_too(root: Path) -> None:
    assert allowed(root / "a.png") == root / "a.png" and read_image(root / "a.png").shape == (36, 64, 3)
    assert allowed(root / "not there yet") and allowed(sample_data() / "scenes")


@pytest.mark.parametrize(
    "spelling",
    [
        "{secret}", "{root}/../secret", "{root}/./../secret/a.png", "{root}//..//secret", "//{secret}", "{root}/link",
        "{root}/link/a.png", "{root}/circle", "file://{secret}", "{root}-other", "{root}/%2e%2e/../../secret",
        "~root", "~", "/", "", ".", "/etc/passwd", "/proc/self/environ", "{root}/..／secret/../..", "{secret} ",
        "{secret}...", "{root}/../DATA", "{secret}/" + "a" * 5000, "{root}/" + "a/../" * 900 + "../secret",
    ],
)  # fmt: skip
def test_every_spelling_of_a_path_outside_is_refused(root: Path, spelling: str) -> None:
    secret = root.parent / "secret"
    (root / "link").symlink_to(secret)
    (root / "circle").symlink_to(root.parent)
    path = os.path.expanduser(spelling.format(root=root, secret=secret))
    with pytest.raises(InputError, match=OUTSIDE) as refused:
        allowed(path)
    assert str(root) in str(refused.value) and "--root" in str(refused.value)


def test_names_that_only_look_like_ways_out_are_those_of_files(root: Path) -> None:
    for name in ("%2e%2e", "..%2fsecret", "..／secret", "a.png ", "..\\secret", "．．/secret", "...", "a" * 5000):
        assert allowed(root / name) == root / name  # there is no such file, but it would be one in the root


def test_a_nul_character_is_refused_as_no_path(root: Path) -> None:
    with pytest.raises(InputError, match="is no path"):
        allowed(f"{root}/a.png\0.jpg")


def test_what_people_brought_is_refused_though_it_lies_in_a_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Serving((str(root.parent),)).environment.items():
        monkeypatch.setenv(name, value)
    assert allowed(root.parent / "secret")  # a part of the root now
    for private in ("runs/theirs/images", "cache", f"tmp/{UPLOADS}1/x", "runs", "secret/../runs"):
        with pytest.raises(InputError, match=OUTSIDE):
            allowed(root.parent / private)


def test_the_server_reads_its_own_places_by_their_names_alone(root: Path) -> None:
    theirs = root.parent / "runs" / "theirs" / "images"
    assert readable(theirs / "a.png") == theirs / "a.png"
    (root / "way").symlink_to(theirs)
    for around in (root / "way" / "a.png", root / ".." / "runs" / "theirs" / "images" / "a.png"):
        with pytest.raises(InputError, match=OUTSIDE):
            readable(around)
    (theirs / "out.png").symlink_to(root.parent / "secret" / "a.png")
    with pytest.raises(InputError, match=OUTSIDE):
        readable(theirs / "out.png")


def test_a_folder_with_a_link_outside_is_refused_as_a_source(root: Path) -> None:
    assert len(find_images([str(root)])) == 1
    (root / "b.png").symlink_to(root.parent / "secret" / "a.png")
    with pytest.raises(InputError, match=OUTSIDE):
        find_images([str(root)])
    with pytest.raises(InputError, match=OUTSIDE):
        read_image(root / "b.png")
    with pytest.raises(InputError, match=OUTSIDE):
        content_hash([root / "b.png"])


@pytest.mark.parametrize("named", ["../secret/a.png", "inner/a.png", "/inner/a.png"])
def test_a_list_that_names_files_outside_is_refused(root: Path, named: str) -> None:
    (root / "inner").symlink_to(root.parent / "runs" / "theirs" / "images")
    listed(root, named)
    with pytest.raises(InputError):
        open_dataset(root)


def test_absolute_names_in_a_list_are_those_of_files_in_the_dataset(root: Path) -> None:
    listed(root, str(root.parent / "secret" / "a.png"))
    assert all(frame.image.is_relative_to(root) for frame in open_dataset(root).frames)


def listed(root: Path, name: str) -> None:
    """A dataset as TuSimple's, whose only list names a frame."""
    (root / "test_label.json").write_text(f'{{"raw_file": "{name}", "lanes": [], "h_samples": []}}\n')


def test_what_lies_in_the_place_itself_is_read_as_the_place_is(root: Path) -> None:
    theirs = root.parent / "runs" / "theirs" / "images"
    check_listed(theirs, [theirs / "a.png"])
    with pytest.raises(InputError, match=OUTSIDE):
        check_listed(root, [theirs / "a.png"])
    with pytest.raises(InputError, match=OUTSIDE):
        check_listed(root, [root / ".." / "secret" / "a.png"])


def test_checkpoints_and_schemes_outside_are_refused(root: Path) -> None:
    weights = root.parent / "secret" / "w.safetensors"
    weights.write_bytes((sample_data() / "weights" / "ganet-tiny.safetensors").read_bytes())
    scheme = root.parent / "secret" / "s.json"
    Scheme.parse("W4A4").save(scheme)
    for read in (lambda: create("ganet-tiny", weights), lambda: Scheme.parse(str(scheme))):
        with pytest.raises(InputError, match=OUTSIDE):
            read()
    assert create("ganet-tiny").heads


def film(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 36))
    for _ in range(3):
        writer.write(np.zeros((36, 64, 3), np.uint8))
    writer.release()


def test_a_video_that_is_a_list_of_others_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(root.parent / "secret" / "theirs.avi")
    (root / "link.avi").symlink_to(root.parent / "secret" / "theirs.avi")
    (root / "list.avi").write_text("ffconcat version 1.0\nfile link.avi\n")
    film(root / "own.avi")
    assert count_frames(root / "list.avi") == 3  # that is what is to be prevented
    for name, value in PLAIN_CONTAINERS.items():
        monkeypatch.setenv(name, value)
    os.utime(root / "list.avi", (1, 1))  # it was counted
    assert count_frames(root / "own.avi") == 3
    for video in ("link.avi", "list.avi"):
        with pytest.raises(InputError):
            count_frames(root / video)


def test_without_a_team_everything_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SFCORE_SERVING")
    assert read_image(root.parent / "secret" / "a.png").any() == 0
    assert allowed("/etc/passwd") == Path("/etc/passwd")
