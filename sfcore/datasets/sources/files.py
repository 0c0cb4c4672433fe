"""What lies on the disk: a folder, the root of a dataset, a video, one of its frames, or a file.

Of a folder the files that lie in it are taken, sorted by name, and none of the folders inside it; where there are none,
it may be the root of a dataset, whose usual split is taken.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sfcore.datasets import videos
from sfcore.datasets.dataset import layout_of, open_dataset
from sfcore.datasets.images import FORMATS, image_files, read_file
from sfcore.datasets.source import SOURCES, Source
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import read_bytes


@SOURCES.register("files")
class Files(Source):
    """Paths, of files and of frames of videos."""

    plain = True

    def fits(self, place: Path) -> bool:
        return True

    def frames(self, place: Path, split: str | None, part: slice, formats: Collection[str]) -> list[Path]:
        if place.is_dir():
            return _frames_in(place, split, formats)[part]
        if split and place.exists():
            raise InputError(f"{place} is no dataset, so it has no split {split!r}: leave the split out")
        pictures = not FORMATS.keys().isdisjoint(formats)  # videos hold such, whoever reads them
        if pictures and videos.is_video(place):
            return videos.frames(place, part)
        if (place.is_file() and place.suffix.lower() in formats) or (pictures and videos.frame_of(place)):
            return [place]
        raise _unreadable(place, formats, pictures)

    def read(self, frame: Path) -> Image:
        video = videos.frame_of(frame)
        return videos.read_frame(*video) if video else read_file(frame)

    def content(self, frame: Path) -> bytes:
        """A file's bytes; of the frame of a video, the pixels."""
        return self.read(frame).tobytes() if videos.frame_of(frame) else read_bytes(frame, "image")

    def file(self, frame: Path) -> Path:
        return frame.parent if videos.frame_of(frame) else frame


def _unreadable(place: Path, formats: Collection[str], pictures: bool) -> InputError:
    """What is wrong with a place that holds no frame."""
    if place.is_file():
        what, known = ("image file", [*formats, *videos.SUFFIXES]) if pictures else ("file", formats)
        return InputError(f"{place} is no {what} that can be read: convert it to one of {', '.join(known)}")
    what, allowed = ("images", "an image") if pictures else ("frames", f"a {' or '.join(formats)} file")
    allowed = f"a folder, a video or {allowed}" if pictures else f"a folder or {allowed}"
    return InputError(f"there are no {what} at {place}: it must be {allowed}; check the path")


def _frames_in(folder: Path, split: str | None, formats: Collection[str]) -> list[Path]:
    """The files that lie in a folder, or, where none do or a split is named, those of the dataset whose root it is."""
    files = image_files(folder, formats)
    if split or (not files and layout_of(folder)):
        frames = [frame.image for frame in open_dataset(folder, split).frames]
        files = [frame for frame in frames if not frame.suffix or frame.suffix.lower() in formats]
    if not files:
        what = "images" if not FORMATS.keys().isdisjoint(formats) else "frames"
        raise InputError(f"the folder {folder} holds no {what}: it must hold {', '.join(formats)} files or a dataset")
    return files
