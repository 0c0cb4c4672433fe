"""What the path in the sidebar holds: an image folder, a video, a dataset in a known layout, scenes, or a part of it.

Lists of tens of thousands of frames are read once, not at every rerun, and again when their folder has changed.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, layout_of, open_dataset
from sfcore.datasets.images import FORMATS, find_images
from sfcore.datasets.source import source_parts
from sfcore.datasets.videos import is_video
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.resources import sample_data

LISTS = (".txt", ".json")  # files in which layouts keep their lists


def changed(source: str) -> float:
    """When a source was last changed, as far as its top folder tells: the newest of it, its folders and its lists."""
    root = source_parts(source)[0]
    if not root.is_dir():
        return root.stat().st_mtime if root.exists() else 0.0
    with os.scandir(root) as entries:
        times = [e.stat().st_mtime for e in entries if e.name.endswith(LISTS) or e.is_dir()]
    return max([root.stat().st_mtime, *times])


@st.cache_data(max_entries=64, show_spinner=False)
def splits(source: str, stamp: float) -> tuple[str, ...]:
    """The splits of a whole dataset, the usual one first; ``stamp`` is when it was changed."""
    root = Path(source)
    layout = layout_of(root) if root.is_dir() else None
    return LAYOUTS[layout].splits(root) if layout else ()


@st.cache_resource(max_entries=8, show_spinner="Looking for images")
def opened(source: str, split: str | None, stamp: float, formats: tuple[str, ...] = tuple(FORMATS)) -> Dataset:
    """The dataset that a source is; shared by all visitors, never to be changed.

    Args:
        formats: suffixes of the files that the detector reads.

    Raises:
        InputError: nothing is there that can be read.
    """
    root, named, _ = source_parts(source)
    if not (layout_of(root) or is_video(root)):
        return loose(root, find_images([source], formats=formats))
    dataset = copy.copy(open_dataset(root, split or named))
    if source != str(root):
        part = set(find_images([source], formats=formats))
        dataset.frames = [frame for frame in dataset.frames if frame.image in part]
    return dataset


def samples(spec: InputSpec) -> str:
    """The folder of the frames that ship for a kind of input.

    Raises:
        InputError: none do.
    """
    if not spec.samples:
        raise InputError(f"no {spec.noun}s of this kind ship: choose Upload or Folder")
    return str(sample_data() / spec.samples)


def loose(root: Path, images: Sequence[Path]) -> Dataset:
    """Images without labels, by their file names; those that share one get a number."""
    frames: dict[str, Frame] = {}
    for path in images:
        name, number = path.name, 2
        while name in frames:
            name, number = f"{path.name} ({number})", number + 1
        frames[name] = Frame(name, path)
    return LAYOUTS["folder"](root, frames=list(frames.values()))


def title(dataset: Dataset) -> str:
    """What was recognised: "CULane, test: 34,680 images, 9 scenarios"."""
    name = type(dataset).__name__ + (f", {dataset.split}" if dataset.split else "")
    found = len(dataset.scenarios)
    return f"{name}: {count(len(dataset.frames), 'image')}" + (f", {count(found, 'scenario')}" if found else "")


def count(number: int, thing: str) -> str:
    """ "1 image", "1,200 images"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
