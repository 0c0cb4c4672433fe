"""What the Deploy page asks of sfcore: files for engines, and what engines make of them, cached."""

from __future__ import annotations

import io
import tempfile
import threading
import zipfile
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path

import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from app import calibration, results
from app.calibration import Calibration
from app.displays import file_name
from app.perturbation import Moved
from app.session import Studio, frame_of, is_remembered, remembered, written
from app.style import Bar
from sfcore.datasets.dataset import Frame
from sfcore.deployment.parity import FORMATS, Parity, check
from sfcore.deployment.running import running
from sfcore.deployment.subjects import USUAL, Choice, of_detector, of_run
from sfcore.detectors.base import Detector, Outputs
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.quant import Scheme
from sfcore.quant.targets import TARGETS
from sfcore.runs import RunFolder
from sfcore.runs.results import models_of

BITS = 8  # of the schemes that are offered, which every target has
USUAL_TARGET = "portable"  # what the engines here run
_alone = threading.Lock()  # tracing changes what all of torch shares, and timings want no neighbour


@dataclass(frozen=True)
class Leaving:
    """What leaves: the last model of a run, or the sidebar's detector calibrated on the spot."""

    origin: RunFolder | Calibration

    @property
    def name(self) -> str:
        """As part of a file's name."""
        if isinstance(self.origin, RunFolder):
            return file_name(self.origin.name)
        return f"{self.origin.choice.name}-{Scheme.parse(self.origin.scheme).slug}"

    @property
    def key(self) -> Hashable:
        """What results about it are kept under. Raises InputError: a file of the run is gone."""
        if isinstance(self.origin, Calibration):
            return self.origin
        which = models_of(self.origin)[-1]
        return self.origin.path, which, results.stamp(self.origin, which)

    def subject(self, choice: Choice = USUAL) -> Subject:
        """It as exporters take it; shared by all visitors, never to be changed.

        Raises:
            InputError: the run is not done, or the detector cannot be quantized or exported.
        """
        made = remembered(("leaving", self.key), self._subject)
        return replace(made, opset=choice.opset, batch=choice.batch)

    def _subject(self) -> Subject:
        if isinstance(self.origin, RunFolder):
            return of_run(self.origin)
        detector, files = self.origin.choice, [str(file) for file in self.origin.files]
        weights = str(detector.weights) if detector.weights else None
        return of_detector(detector.name, weights, detector.key, Scheme.parse(self.origin.scheme), files)

    def before(self) -> Detector | None:
        """The calibrated model of a run that went on to tune it, where it is still there."""
        if isinstance(self.origin, Calibration) or models_of(self.origin)[-1] == "calibrated":
            return None
        try:
            return results.model(self.origin.path, "calibrated", results.stamp(self.origin, "calibrated"))
        except InputError:
            return None

    def moved(self, view: Studio) -> Moved | None:
        """The prediction about the shown image that engines are to make, beside the full-precision one; None where the
        model takes long to make.

        Raises:
            InputError: a file of the run is gone.
        """
        if isinstance(self.origin, RunFolder):
            after = results.prediction(view, self.origin, models_of(self.origin)[-1], view.image)
        elif calibration.is_ready(self.origin):
            after = self.origin.prediction(view.image)
        else:
            return None
        before = view.prediction()
        return Moved(before, after, view.task.distortion(before, after))

    def in_engine(self, engine: str, image: Path) -> Outputs:
        """The head outputs that an engine computes of one image, batch of one.

        Raises:
            InputError: it is missing, or cannot run the network.
        """

        def computed() -> Outputs:
            model = _running(repr(self.key), engine, self)
            with torch.no_grad():
                inputs = model.preprocess([frame_of(model.preprocessing, image, written(image))])
                return model(inputs)

        return remembered(("in engine", self.key, engine, image, written(image)), computed)

    def unseen(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames that it was not calibrated on here; all where it has seen all, and for a run."""
        return calibration.unseen(frames, self.origin) if isinstance(self.origin, Calibration) else list(frames)


@dataclass(frozen=True)
class Bundle:
    """What was exported.

    Attributes:
        files: of each its name, format and bytes.
        notes: what differs from the simulation, as sentences.
        zipped: all of it, with the manifest and the example.
        full_bytes: of the detector's parameters in full precision.
    """

    files: tuple[tuple[str, str, int], ...]
    notes: tuple[str, ...]
    zipped: bytes
    full_bytes: int


def schemes() -> tuple[str, ...]:
    """A scheme for each target, residual adds quantized, the usual target first; others are typed."""
    names = sorted(TARGETS, key=lambda name: name != USUAL_TARGET)
    return tuple(f"W{BITS}A{BITS}-{name}{'' if TARGETS[name].adds else '-adds'}" for name in names)


def choose(view: Studio) -> Leaving:
    """What leaves, chosen in a row of controls, and in the link.

    Raises:
        InputError: what was typed is no scheme, or no image to calibrate on can be read.
    """
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    with row:
        run = results.choose_or_here(view, "run")
    return Leaving(run or here(view, row))


def here(view: Studio, row: DeltaGenerator) -> Calibration:
    """The sidebar's detector, to be calibrated with the bits and on the images that are chosen in the row."""
    known = schemes()
    return calibration.of(view, *calibration.controls(view, repeat(row), "d_bits", known, known[0]))


def exported(leaving: Leaving, formats: Sequence[str], choice: Choice, make: bool) -> Bundle | None:
    """The files in some formats; None where they are not made yet, nor to be made.

    Raises:
        InputError: it cannot be exported so.
    """
    key = ("exported", leaving.key, tuple(formats), choice)
    if not make and not is_remembered(key):
        return None
    return remembered(key, partial(_exported, leaving, formats, choice))


def _exported(leaving: Leaving, formats: Sequence[str], choice: Choice) -> Bundle:
    with alone("Tracing the network"), tempfile.TemporaryDirectory(prefix="sfcore-export-") as name:
        subject, bar = leaving.subject(choice), Bar("Exporting formats")
        made = export(subject, formats, Path(name), bar)
        zipped = _zipped(Path(name), leaving.name)
        bar.close()
    files = tuple((Path(each["path"]).name, str(each["format"]), int(each["bytes"])) for each in made.files)
    full = sum(value.numel() * value.element_size() for value in subject.detector.parameters())
    return Bundle(files, made.notes, zipped, full)


def _zipped(folder: Path, name: str) -> bytes:
    """All files of a folder, in a folder of that name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{name}/{path.name}")
    return content.getvalue()


def checked(leaving: Leaving, engines: Sequence[str], frames: Sequence[Frame], make: bool) -> Parity | None:
    """What engines predict about frames; None where that is not known, nor to be found out.

    Raises:
        InputError: no engine is chosen, it cannot be exported, or a frame cannot be read.
    """
    images = tuple((frame.image, written(frame.image)) for frame in frames)
    key = ("parity", leaving.key, tuple(engines), images)
    if not make and not is_remembered(key):
        return None
    return remembered(key, partial(_checked, leaving, engines, [image for image, _ in images]))


def _checked(leaving: Leaving, engines: Sequence[str], files: Sequence[Path]) -> Parity:
    with alone("Checking engines; the network is traced first"):
        bars = {"running": Bar("Running frames"), "timing": Bar("Timing engines")}
        found = check(
            leaving.subject(), files, engines, leaving.before(),
            lambda phase, done, total: bars[phase](done, total),
        )  # fmt: skip
        for bar in bars.values():
            bar.close()
        return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _running(key: str, engine: str, _leaving: Leaving) -> Detector:
    """A detector whose network an engine runs. What engines load has no size that could be told, so it is kept here."""
    load = ENGINES[engine]
    with alone(f"Exporting the network for {engine}"), tempfile.TemporaryDirectory(prefix="sfcore-export-") as name:
        subject = _leaving.subject()
        export(subject, ["onnx"], Path(name))
        return running(subject.detector, load(Path(name, FORMATS["onnx"]), 0))


@contextmanager
def alone(what: str) -> Iterator[None]:
    """For the length of a block nobody else exports or checks; the page says what goes on."""
    with st.spinner(what, show_time=True), _alone:
        yield
