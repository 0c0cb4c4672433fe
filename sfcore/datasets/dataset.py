"""Datasets: images in order, with labels and scenarios where they have them; nothing is read before it is asked for.

A *layout* is how a dataset lies in its folder: CULane's list files, TuSimple's JSON lines, a plain folder, a video.
Each is one file in ``sfcore/datasets/layouts`` that registers a class; a dataset is one such class opened on a path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from sfcore.datasets.images import evenly, image_size
from sfcore.datasets.source import check_frames, source_of, source_parts
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import explained, write_atomic
from sfcore.registries import Registry
from sfcore.roots import readable
from sfcore.tasks.lanes import Polyline


@dataclass(frozen=True)
class Frame:
    """One image of a dataset.

    Attributes:
        name: how the dataset's own lists name it: a path with ``/``, none in front.
        image: the file, or the frame of a video (see :mod:`sfcore.datasets.images`).
        scenario: what kind of scene it is, where the dataset says; "" where not.
    """

    name: str
    image: Path
    scenario: str = ""


@dataclass(frozen=True)
class Label:
    """The labelled objects of one frame, in its own coordinates.

    Attributes:
        objects: as predictions of the task give them: lanes as (N, 2) x, y polylines, boxes as (D + 2,) arrays of their
            numbers, their class in the dataset's names, and their confidence, 1.
        heights: (H,) the rows at which lanes are labelled, for datasets that fix them.
        columns: (lanes, H) x at those rows, negative where a lane has no point.
        neutral: objects that are neither to be found nor wrong to find, such as crowds.
    """

    objects: list[np.ndarray]
    heights: np.ndarray | None = None
    columns: np.ndarray | None = None
    neutral: Sequence[np.ndarray] = ()

    @property
    def lanes(self) -> list[Polyline]:
        """The objects, where they are lanes."""
        return self.objects


class Predictions(ABC):
    """Objects that a detector found, filed in the format that the dataset's official tool reads.

    Frames are written one by one and survive a kill; opening the same path again goes on where it ended.

    Attributes:
        problems: what is wrong with the file as a whole, a line each; what concerns one frame, :meth:`read` raises.
    """

    problems: Sequence[str] = ()

    @abstractmethod
    def done(self) -> set[str]:
        """The names of the frames that have been written."""

    @abstractmethod
    def write(self, frame: Frame, objects: Sequence[np.ndarray], label: Label | None, milliseconds: float) -> None:
        """File one frame's objects, in its own coordinates and the dataset's classes.

        Args:
            label: the frame's own, for formats that are sampled at its heights.
            milliseconds: what the detector needed for it.

        Raises:
            InputError: it cannot be written.
        """

    @abstractmethod
    def read(self, frame: Frame) -> list[np.ndarray]:
        """The objects of a frame, as filed.

        Raises:
            InputError: there are none, or they are damaged; the message names the file.
        """

    def finish(self) -> None:  # noqa: B027 - most formats are whole after each frame
        """Write what a format has of all frames together, once all of them are filed."""


class FolderPredictions(Predictions):
    """Predictions in a file of its own for each frame.

    Args:
        folder: made when the first frame is written.
        frames: those of the dataset.
    """

    def __init__(self, folder: Path, frames: Sequence[Frame]) -> None:
        self._folder, self._frames = folder, frames

    @staticmethod
    @abstractmethod
    def file(folder: Path, name: str) -> Path:
        """Where the lanes of the frame of a name lie."""

    @staticmethod
    @abstractmethod
    def text(lanes: Sequence[Polyline]) -> str:
        """What the file of some lanes holds."""

    def done(self) -> set[str]:
        return {frame.name for frame in self._frames if self.file(self._folder, frame.name).is_file()}

    def write(self, frame: Frame, objects: Sequence[Polyline], label: Label | None, milliseconds: float) -> None:
        """Lanes of fewer than two points are left out: they have no extent, but would count as false."""
        path = self.file(self._folder, frame.name)
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.text([lane for lane in objects if len(lane) > 1]).encode())


@dataclass
class Dataset(ABC):
    """A dataset opened at a path.

    Attributes:
        root: its folder or file.
        split: which part of it; one of :meth:`splits`.
        frames: its images, in the order of its lists.
        problems: what is wrong with its lists, a line each; the frames concerned are left out.
        metric: the official metric of this layout (a name of ``sfcore.evaluation.metrics``), "" where it has no labels.
        task: that its labels are of (a name of ``sfcore.tasks``).
        plain: whether it is merely images, and so only what is left where no other layout fits.
        names: the classes of its labelled boxes.
    """

    metric: ClassVar[str] = ""
    task: ClassVar[str] = "lanes"
    plain: ClassVar[bool] = False

    root: Path
    split: str = ""
    frames: Sequence[Frame] = field(default=(), repr=False)
    problems: Sequence[str] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False, kw_only=True)

    @staticmethod
    @abstractmethod
    def fits(root: Path) -> bool:
        """Whether ``root`` looks like this layout; a quick look at names and, at most, the beginning of a file."""

    @classmethod
    @abstractmethod
    def open(cls, root: Path, split: str | None = None) -> Dataset:
        """The dataset at ``root``.

        Args:
            split: a name of :meth:`splits`; None for the one that results are usually reported on.

        Raises:
            InputError: no such split, or its lists cannot be read; the message names what is missing.
        """

    @classmethod
    def splits(cls, root: Path) -> tuple[str, ...]:
        """The parts that ``root`` holds, the usual one first; empty where it is not divided."""
        return ()

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios of its frames, in the order that results are listed in."""
        return tuple(dict.fromkeys(frame.scenario for frame in self.frames if frame.scenario))

    def labelled(self, task: str) -> Dataset | None:
        """The same frames with their labels of a task: this dataset, or another one of the same files where they have
        labels of several tasks; None where there are none of this one."""
        return self if self.metric and self.task == task else None

    def label(self, frame: Frame) -> Label | None:
        """The frame's objects; None where the dataset has no labels.

        Raises:
            InputError: they are missing or damaged; the message names the file.
        """
        return None

    def size(self, frame: Frame) -> tuple[int, int]:
        """(height, width) of a frame in pixels; only the header of its image is read.

        Raises:
            InputError: the image is missing or damaged; the message names it.
        """
        return image_size(frame.image)

    def beside(self, frame: Frame, objects: Sequence[np.ndarray]) -> Image | None:
        """What else shows a frame, such as a camera's picture of a sweep, with objects drawn on it; None for nothing.

        Raises:
            InputError: it is damaged; the message names the file.
        """
        return None

    def predictions(self, path: Path) -> Predictions:
        """Where predictions for this dataset are filed: a folder or file, in its official format.

        Raises:
            InputError: the layout has no such format.
        """
        raise InputError(f"{self.root} has no format for predictions: choose a labelled dataset, or use sfcore detect")


LabelledFrame = tuple[Dataset, Frame]
LAYOUTS: Registry[type[Dataset]] = Registry("dataset layout", "sfcore.datasets.layouts")


def layout_of(root: Path) -> str | None:
    """The name of the layout that ``root`` has; None where there is none, or where ``root`` is merely images."""
    return next((name for name in LAYOUTS if not LAYOUTS[name].plain and LAYOUTS[name].fits(root)), None)


def open_dataset(root: Path, split: str | None = None, layout: str | None = None) -> Dataset:
    """The dataset at ``root``, whatever its layout; a plain folder or a video where it has none.

    Args:
        root: its folder or file, or another place of a source whose frames have labels, such as ``scenes:600``.
        layout: its layout's name, where it cannot be told from the files.

    Raises:
        InputError: nothing is there, no layout fits, or it names frames that this server may not read.
    """
    if source_of(root).plain and not readable(root).exists():
        raise InputError(f"there is no dataset {root}: check the path")
    name = layout or layout_of(root) or next((name for name in LAYOUTS if LAYOUTS[name].fits(root)), None)
    if name is None:
        raise InputError(f"{root} has none of the layouts {', '.join(LAYOUTS)}: name a dataset's own folder")
    dataset = LAYOUTS[name].open(root, split)
    check_frames(root, [frame.image for frame in dataset.frames])
    return dataset


def labelled_frames(sources: Sequence[Path | str], task: str) -> dict[Path, LabelledFrame]:
    """The frames of some sources that have labels of a task, by their images.

    Args:
        sources: folders, files, datasets, their splits and parts; those without such labels are passed over.

    Raises:
        InputError: the lists of a dataset cannot be read.
    """
    found: dict[Path, LabelledFrame] = {}
    for source in sources:
        path, split, part = source_parts(str(source))
        dataset = open_dataset(path, split).labelled(task) if layout_of(path) else None
        found |= {frame.image: (dataset, frame) for frame in dataset.frames[part]} if dataset else {}
    return found


def spread(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most so many frames, evenly spaced, an equal share of each scenario, in their old order.

    What a small scenario cannot use goes to the others; frames without one count as one scenario.
    """
    groups: dict[str, list[int]] = {}
    for place, frame in enumerate(frames):
        groups.setdefault(frame.scenario, []).append(place)
    chosen: list[int] = []
    for done, places in enumerate(sorted(groups.values(), key=len)):
        share = min(len(places), -(-(most - len(chosen)) // (len(groups) - done)))
        chosen += evenly(places, share)
    return [frames[place] for place in sorted(chosen)]
