"""What all pages share: the chosen detector and images, and cached loaders.

Cached models are shared by all visitors: nothing here or in a page changes one. Quantizing copies first.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import streamlit as st
import torch
from cachetools import Cache, LRUCache

from app.style import Bar
from app.uploads import Uploads
from sfcore import drawing
from sfcore.datasets.dataset import Dataset, Frame, spread
from sfcore.datasets.images import content_hash
from sfcore.datasets.source import source_of
from sfcore.detectors.base import Detector, Image, Outputs
from sfcore.detectors.registry import create, entries, entry, weights_keys
from sfcore.errors import InputError
from sfcore.files import Stamp, stamp
from sfcore.inputs.base import InputSpec
from sfcore.runs import RunSpec
from sfcore.tasks.base import Task, Words

T = TypeVar("T")

MOST_REMEMBERED = 256 * 2**20  # bytes of images, and of results of long measurements; app/.streamlit bounds the rest
PATHS: dict[str | type, Any] = {type(Path()): os.fsencode}  # how caches tell paths apart, also those that are no text
LARGE_IMAGE = 64 * 2**20  # bytes
KEY, PROBLEM = "studio", "problem"  # where the session keeps its Studio, or why there is none


@dataclass(frozen=True)
class DetectorChoice:
    """A detector with its weights, as a key of the caches.

    Attributes:
        name: in the registry.
        weights: a checkpoint, or None for the shipped weights.
        device: "cpu" or "cuda".
        stamp: when the weights were last written, so that a new file under an old name is loaded.
        uploaded: the weights lie in a temporary folder of this session.
        key: which weights in the checkpoint, where several fit.
    """

    name: str
    weights: Path | None
    device: str
    stamp: Stamp
    uploaded: bool = False
    key: str | None = None

    @classmethod
    def of(
        cls, name: str, weights: Path | None, device: str, uploaded: bool = False, key: str | None = None
    ) -> DetectorChoice:
        """The choice with the stamp of its weights.

        Raises:
            InputError: no weights were given where none ship, or there is no such file.
        """
        file = weights or entry(name).shipped
        if file is None:
            raise InputError(f"{name} ships no weights: give its checkpoint in the sidebar under Weights")
        if not file.is_file():
            raise InputError(f"there is no checkpoint {file}: check the path in the sidebar under Weights")
        return cls(name, weights, device, stamp(file), uploaded, key)

    @classmethod
    def of_run(cls, spec: RunSpec) -> DetectorChoice:
        """A run's detector, on the CPU. Raises InputError: see :meth:`of`."""
        return cls.of(spec.detector, Path(spec.weights) if spec.weights else None, "cpu", key=spec.weights_key)


@dataclass(frozen=True)
class Studio:
    """One visitor's choices in the sidebar.

    Attributes:
        choice: the detector.
        dataset: all images of the chosen source, shared by all visitors; never to be changed.
        frames: the chosen ones among them.
        image: the one that is shown.
        source: what the command line calls the whole source; None when only some of its scenarios or another split
            than the usual one are chosen, and for uploads.
        uploaded: the images lie in a temporary folder of this session.
    """

    choice: DetectorChoice
    dataset: Dataset
    frames: tuple[Frame, ...]
    image: Path
    source: str | None = None
    uploaded: bool = False

    @property
    def images(self) -> tuple[Path, ...]:
        """The chosen images."""
        return tuple(frame.image for frame in self.frames)

    def sources(self, most: int) -> tuple[str, ...]:
        """The image sources of a run on at most so many of the chosen images."""
        return (self.source,) if self.source else tuple(str(frame.image) for frame in spread(self.frames, most))

    @property
    def detector(self) -> Detector:
        return load_detector(self.choice)

    @property
    def task(self) -> Task[Any]:
        """What the detector answers with."""
        return self.detector.task

    @property
    def words(self) -> Words:
        """How that is spoken of."""
        return self.task.words

    @property
    def key(self) -> tuple[DetectorChoice, Path, float]:
        """What results about the shown image are kept under."""
        return self.choice, self.image, written(self.image)

    @property
    def canvas(self) -> Image:
        """The shown image at drawing width; draw on a copy."""
        return canvas_of(self.choice, self.image, written(self.image))

    def outputs(self, image: Path | None = None) -> Outputs:
        """Full-precision head outputs of one image, batch of one."""
        path = image or self.image
        return outputs_of(self.choice, path, written(path))

    def prediction(self, image: Path | None = None) -> Any:
        """The full-precision prediction about one image, in the detector's frame."""
        return self.detector.decode(self.outputs(image))


def studio() -> Studio:
    """This visitor's choices; where the sidebar holds an error, the page says so and ends here."""
    if KEY not in st.session_state:
        st.subheader("Nothing to show yet", anchor=False)
        st.info(st.session_state.get(PROBLEM, "choose a detector and images"), icon=":material/arrow_back:")
        st.button("Start over with the samples", icon=":material/restart_alt:", on_click=start_over)
        st.stop()
    return st.session_state[KEY]


def start_over() -> None:
    """Put the sidebar back to a first visit; for use as a callback."""
    st.session_state.update({"detector": first_detector(), "weights": "", "images": "Samples"})


def first_detector() -> str:
    """The detector of a first visit: of those that work with nothing to configure, the one that places lanes best."""
    found = [each for each in entries() if each.sample.task_name == Detector.task_name]
    return min(found, key=lambda each: each.score.get("shift_px", float("inf"))).name


@st.cache_resource(max_entries=6, show_spinner="Loading the detector", hash_funcs=PATHS)
def load_detector(choice: DetectorChoice) -> Detector:
    """The detector with its weights; shared by all visitors, never to be changed.

    Raises:
        InputError: the checkpoint does not fit or cannot be read.
    """
    return create(choice.name, choice.weights, choice.device, choice.key).requires_grad_(False)


@st.cache_data(max_entries=64, show_spinner="Reading the weights", hash_funcs=PATHS)
def keys_in(detector: str, weights: Path, written: Stamp) -> tuple[str, ...]:
    """Where in a checkpoint the weights are that fit a detector. Raises InputError: it cannot be read."""
    return weights_keys(detector, weights)


def weights_of(spec: RunSpec) -> dict[str, str]:
    """What the sidebar's controls of the weights are to be for those of a run."""
    return {"weights": spec.weights or "", "weights_key": spec.weights_key or ""}


def written(image: Path) -> float:
    """When an image was written, as part of a cache's key: of a video's frame, the video; 0 for one that is made.

    Raises:
        InputError: there is no such image.
    """
    file = source_of(image).file(image)
    try:
        return file.stat().st_mtime if file else 0.0
    except OSError as error:
        raise InputError(f"there is no image {image}: copy it there, or choose other images in the sidebar") from error


def frame_of(spec: InputSpec, path: Path, stamp: float) -> Any:
    """The frame of a file; ``stamp`` is its modification time. It is shared by all visitors and never to be changed."""

    def read() -> Any:
        _images().drop(LARGE_IMAGE)  # reading one takes twice its size: two large ones at a time are too many
        frame = spec.read(path)
        if isinstance(frame, np.ndarray):
            frame.flags.writeable = False
        return frame

    return _images().remembered((spec.kind, path, stamp), read)


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs=PATHS)
def size_of(choice: DetectorChoice, path: Path, stamp: float) -> tuple[int, int]:
    """(height, width) of a frame. Raises InputError: it cannot be read from its first byte to its last."""
    spec = load_detector(choice).preprocessing
    return spec.size_of(frame_of(spec, path, stamp))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=PATHS)
def canvas_of(choice: DetectorChoice, path: Path, stamp: float) -> Image:
    """The picture of a frame at drawing width."""
    spec = load_detector(choice).preprocessing
    return drawing.canvas(spec.canvas(frame_of(spec, path, stamp)))


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs=PATHS)
def outputs_of(choice: DetectorChoice, path: Path, stamp: float) -> Outputs:
    """Full-precision head outputs of one image, on the CPU, where one image is decoded faster."""
    detector = load_detector(choice)
    with torch.inference_mode(False), torch.no_grad():
        outputs = detector(detector.preprocess([frame_of(detector.preprocessing, path, stamp)]))
    return {name: value.cpu() for name, value in outputs.items()}


def outputs_of_all(view: Studio, images: Sequence[Path], label: str = "Running the detector, images") -> Outputs:
    """Head outputs of many images as one batch, with a progress bar while they are not cached."""
    bar = Bar(label)
    each = []
    for done, path in enumerate(images, 1):
        each.append(view.outputs(path))
        bar(done, len(images))
    bar.close()
    return {name: torch.cat([outputs[name] for outputs in each]) for name in each[0]}


@dataclass(frozen=True)
class _Result:
    """A result, and how many bytes it counts for: at most all there are, so that a larger one is kept alone."""

    value: Any
    size: int

    @classmethod
    def of(cls, value: Any) -> _Result:
        size = value.nbytes if isinstance(value, np.ndarray) else len(pickle.dumps(value))
        return cls(value, min(size, MOST_REMEMBERED))


class _Memory:
    """Results by key, shared by all threads; those not used for longest make room for others within the bytes."""

    def __init__(self) -> None:
        self._kept: LRUCache[Hashable, _Result] = LRUCache(MOST_REMEMBERED, lambda result: result.size)
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def drop(self, size: int) -> None:
        """Forget all results of more than so many bytes."""
        with self._lock:
            # By the base class, for which a look is no use: the order stays.
            for key in [key for key in self._kept if Cache.__getitem__(self._kept, key).size > size]:
                del self._kept[key]

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of a key, made where it is not there; others are not kept from theirs meanwhile."""
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = _Result.of(make())
            with self._lock:
                self._kept[key] = found
        return found.value


@st.cache_resource(show_spinner=False)
def _memory() -> _Memory:
    return _Memory()


@st.cache_resource(show_spinner=False)
def _images() -> _Memory:
    """Apart from the results, which took longer; by bytes, for one image may be as large as hundreds of others."""
    return _Memory()


def remembered(key: Hashable, make: Callable[[], T]) -> T:
    """What ``make`` returns, kept for all visitors; unlike Streamlit's caches, ``make`` may draw a progress bar.

    The result is shared, so nobody may change it.
    """
    return _memory().remembered(key, make)


def is_remembered(key: Hashable) -> bool:
    """Whether :func:`remembered` has a result."""
    return key in _memory()


def forget_unknown(key: str, names: Sequence[str]) -> None:
    """Drop a remembered choice, of one or of several, that is not on offer here: a deleted run, another's scenario."""
    kept = st.session_state.get(key)
    if kept is not None and not set(kept if isinstance(kept, list) else [kept]) <= set(names):
        del st.session_state[key]


@st.cache_resource(scope="session", on_release=Uploads.close, show_spinner=False)
def uploads() -> Uploads:
    """This visitor's uploads; they go when the page closes, and return from the uploader if it was only cut off."""
    return Uploads()


def image_hash(path: Path) -> str:
    """SHA-256 of one image file's content, cached."""
    return _image_hash(path, written(path))


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs=PATHS)
def _image_hash(path: Path, stamp: float) -> str:
    return content_hash([path])
