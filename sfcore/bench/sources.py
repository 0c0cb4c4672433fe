"""The unseen images that a bench is judged on, each source a column of its tables, and the scenes it renders itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from sfcore.datasets.dataset import Dataset, Frame, layout_of, open_dataset
from sfcore.datasets.images import FORMATS, content_hash, evenly, find_images
from sfcore.datasets.scenes import Scene, render
from sfcore.datasets.scenes.folders import SIZES, write_scenes
from sfcore.datasets.source import absolute, source_of, source_parts
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.inputs.images import Preprocessing
from sfcore.names import printable
from sfcore.runs.protocol import Report

CALIBRATION_SCENES, TEST_SCENES = 64, 100
# Seeds of the first scenes: far from those of training, scoring, samples and runs, and never changed.
FIRST_CALIBRATION, FIRST_TEST = 50_000_000, 51_000_000
SEEDS_APART = 1_000_000  # of those, that are one apart as seeds of sources


@dataclass(frozen=True)
class Source:
    """Unseen images under one name.

    Attributes:
        name: of the column.
        paths: folders, image files or datasets, or their splits and parts such as ``culane[val]``, or ``scenes:100``.
        limit: at most so many images of each path, evenly spread; None for all.
        formats: suffixes of the files that the detectors read.
    """

    name: str
    paths: tuple[str, ...]
    limit: int | None = None
    formats: tuple[str, ...] = tuple(FORMATS)


@dataclass(frozen=True, eq=False)
class Unseen:
    """The images of a source.

    Attributes:
        files: all images, path after path.
        frames: each as a labelled dataset's frame; None unless all have labels, of whatever task.
    """

    files: list[Path]
    frames: list[tuple[Dataset, Frame]] | None

    def labelled(self, task: str) -> list[tuple[Dataset, Frame]] | None:
        """The frames with their labels of a task; None unless all have such, with one metric and the same classes."""
        own = {id(dataset): dataset.labelled(task) for dataset, _ in self.frames or ()}
        found = [(held, frame) for dataset, frame in self.frames or () if (held := own[id(dataset)])]
        alike = len({(dataset.metric, dataset.names) for dataset, _ in found}) == 1
        return found if alike and len(found) == len(self.files) else None

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over the contents of all images in order."""
        return content_hash(self.files)


@cache
def unseen(source: Source) -> Unseen:
    """The images of a source, found once a process.

    Raises:
        InputError: a path holds no images, or does not exist.
    """
    files: list[Path] = []
    frames: list[tuple[Dataset, Frame]] = []
    for path in source.paths:
        found = _labelled(path)
        if found is None:
            files += find_images([path], source.limit, source.formats)
        else:
            chosen = evenly(found, min(source.limit or len(found), len(found)))
            files += [frame.image for _, frame in chosen]
            frames += chosen
    if not files:
        raise InputError(f"{source.name} selects no images: choose another part")
    return Unseen(files, frames if len(frames) == len(files) else None)


def _labelled(source: str) -> list[tuple[Dataset, Frame]] | None:
    """The frames that a source names, when they are a dataset's that has labels."""
    path, split, part = source_parts(source)
    dataset = open_dataset(path, split) if layout_of(path) else None
    return [(dataset, frame) for frame in dataset.frames[part]] if dataset and dataset.metric else None


def sources_of(texts: Sequence[str], limit: int | None, formats: Collection[str] = FORMATS) -> tuple[Source, ...]:
    """Read ``[NAME=]PATH``, such as ``other cameras=road-mix``; paths of the same name become one source.

    Args:
        limit, formats: of each.

    Raises:
        InputError: a path holds no images, or does not exist, or a label is missing or damaged.
    """
    paths: dict[str, list[str]] = {}
    for text in texts:
        name, path = _named(text)
        paths.setdefault(printable(name or Path(path).name), []).append(absolute(path))
    sources = tuple(Source(name, tuple(found), limit, tuple(formats)) for name, found in paths.items())
    for source in sources:
        for dataset, frame in unseen(source).frames or ():
            dataset.label(frame)  # better refused now than after hours of tuning
    return sources


def _named(text: str) -> tuple[str, str]:
    """The name, which may be empty, and the path: from the first place on where there is one, else the shortest."""
    for start in (0, *(equals.end() for equals in re.finditer("=", text))):
        path = text[start:]
        if Path(path).exists() or not source_of(source_parts(path)[0]).plain:
            return text[:start].removesuffix("="), path
    name, _, path = text.rpartition("=")
    return name, path


def rendered_calibration(spec: InputSpec, out: Path, limit: int | None, report: Report) -> str:
    """A source of frames to calibrate on: scenes, rendered into a folder unless they are there; of other inputs, frames
    that are rendered when they are read."""
    count = limit or CALIBRATION_SCENES
    if not isinstance(spec, Preprocessing):
        return made(spec, count, FIRST_CALIBRATION)
    return _rendered("folder", out / "scenes" / f"calibration-{count}", FIRST_CALIBRATION, count, report)


def rendered_test(spec: InputSpec, out: Path, limit: int | None, report: Report) -> str:
    """A named source of other frames, with labels; see :func:`rendered_calibration`."""
    count = limit or TEST_SCENES
    if not isinstance(spec, Preprocessing):
        return f"rendered {spec.noun}s={made(spec, count, FIRST_TEST)}"
    folder = _rendered("culane", out / "scenes" / f"test-{count}", FIRST_TEST, count, report)
    return f"rendered scenes={folder}"


def made(spec: InputSpec, count: int, seed: int) -> str:
    """The source of so many rendered frames of an input."""
    return f"{spec.rendered}:{count},seed={seed // SEEDS_APART}"


def _rendered(layout: str, folder: Path, first: int, count: int, report: Report) -> str:
    def scenes() -> Iterator[Scene]:
        for index in range(count):
            yield render(first + index, size=SIZES[layout])
            report(f"rendering scenes, {folder.name}", index + 1, count)

    last = {"folder": "labels.json", "culane": "list/test.txt"}[layout]  # what is written after all pictures
    if not (folder / last).exists():
        write_scenes(layout, folder, "test", scenes())
    return str(folder)
