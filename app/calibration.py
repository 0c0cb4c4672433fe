"""Quantizing the sidebar's detector on the spot, in any scheme: calibrated on a few images and not tuned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from app import sources
from app.run_estimate import about
from app.scheme import SCHEMES as SCHEMES
from app.scheme import USUAL, bits_box, in_markdown
from app.session import (
    PATHS,
    DetectorChoice,
    Studio,
    forget_unknown,
    frame_of,
    image_hash,
    is_remembered,
    load_detector,
    remembered,
    size_of,
    written,
)
from app.style import Bar
from sfcore.datasets.dataset import Frame, spread
from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.present.model_comparison import overlap
from sfcore.quant import Scheme, quantize

CHOSEN, SAMPLES = "chosen images", "sample scenes"  # what it is calibrated on
IMAGES, BATCH = 8, 2  # that it is calibrated on at most, and at once
AT_ONCE = 200e9  # parameters times pixels of the input up to which nobody has to ask for it: some seconds
PASSES = 9  # of the detector that calibrating on one image takes as long as, as measured with the detectors here


@dataclass(frozen=True)
class Calibration:
    """A detector quantized on the spot, as a key of the caches.

    Attributes:
        choice: the detector.
        scheme: such as "W4A4" or "W4A4,heads=16", as :class:`Scheme` is printed, so that a file that is written
            anew is another one.
        images: that it is calibrated on, each with when it was written.
    """

    choice: DetectorChoice
    scheme: str
    images: tuple[tuple[Path, float], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The images that it is calibrated on."""
        return tuple(path for path, _ in self.images)

    @property
    def model(self) -> Detector:
        """The quantized detector, made where it is not there; shared by all visitors, never to be changed."""
        return remembered(self, self.made)

    def outputs(self, image: Path) -> Outputs:
        """Head outputs of one image, batch of one."""
        return _outputs(self, image, written(image), self.model)

    def prediction(self, image: Path) -> Any:
        """The prediction about one image, in the detector's frame."""
        return self.model.decode(self.outputs(image))

    def made(self) -> Detector:
        """The quantized detector, made anew, with a progress bar."""
        detector, bar = load_detector(self.choice), Bar(f"Quantizing {self.choice.name}, images")
        pixels = [detector.preprocess([frame_of(detector.preprocessing, *image)]) for image in self.images]
        batches = [torch.cat(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        made = quantize(
            detector, Scheme.parse(self.scheme), batches,
            progress=lambda done, _: bar(min(done * BATCH, len(pixels)), len(pixels)),
        )  # fmt: skip
        bar.close()
        return made.requires_grad_(False)


@st.cache_data(max_entries=1024, show_spinner=False, hash_funcs=PATHS)
def _outputs(calibration: Calibration, image: Path, stamp: float, _model: Detector) -> Outputs:
    with torch.no_grad():
        outputs = _model(_model.preprocess([frame_of(_model.preprocessing, image, stamp)]))
    return {name: value.cpu() for name, value in outputs.items()}


def controls(
    view: Studio,
    places: Iterator[DeltaGenerator],
    key: str = "bits",
    schemes: Sequence[str] = SCHEMES,
    usual: str = USUAL,
) -> tuple[str, str]:
    """Let the visitor choose bits and images, in the next places on the page; both are in the link, and as :func:`of`
    takes them, but what was typed may be no scheme.

    Args:
        key: of the bits in the link.
        schemes: that are offered; others are typed.
        usual: the one of them that is chosen at first.
    """
    bits = bits_box(next(places), key, schemes, usual)
    on = CHOSEN
    if view.source != sources.samples(view.detector.preprocessing):
        known = (CHOSEN, SAMPLES) if len(view.frames) > 1 else (SAMPLES,)
        forget_unknown("on", known)
        on = next(places).selectbox(
            "Calibrated on", known, key="on", bind="query-params",
            help=f"Some of the images in the sidebar, {IMAGES} or half of them at most; or {IMAGES} sample scenes.",
        )  # fmt: skip
    return bits, on


def of(view: Studio, bits: str, on: str = CHOSEN) -> Calibration:
    """The sidebar's detector, calibrated on some of the chosen images, evenly spaced, or of the sample scenes.

    No more than half of the chosen ones are taken, so that there are others to compare on; of a single one, none.

    Args:
        bits: whatever :meth:`Scheme.parse` reads.
        on: CHOSEN or SAMPLES.

    Raises:
        InputError: the bits are no scheme, or none of the images can be read.
    """
    scheme = str(Scheme.parse(bits))
    frames: Sequence[Frame] = view.frames
    if on == SAMPLES or len(frames) < 2:
        spec = view.detector.preprocessing
        folder = sources.samples(spec)
        frames = sources.opened(folder, None, sources.changed(folder), spec.formats).frames
    return Calibration(view.choice, scheme, _readable(view.choice, spread(frames, min(IMAGES, len(frames) // 2))))


def _readable(choice: DetectorChoice, frames: Sequence[Frame]) -> tuple[tuple[Path, float], ...]:
    """Those images that can be read, with when they were written."""
    found, problem = list[tuple[Path, float]](), ""
    for frame in frames:
        try:
            image = frame.image, written(frame.image)
            size_of(choice, *image)
            found.append(image)
        except InputError as error:
            problem = str(error)
    if not found:
        raise InputError(f"none of the {len(frames)} images to calibrate on can be read: {problem}")
    return tuple(found)


def unseen(frames: Sequence[Frame], from_: Calibration) -> list[Frame]:
    """The frames that a calibration has not seen; all where it has seen all."""
    return [frame for frame in frames if frame.image not in from_.files] or list(frames)


def is_ready(chosen: Calibration) -> bool:
    """Whether the model is there, or will be in seconds; where it takes longer, it is only made when asked for."""
    detector = load_detector(chosen.choice)
    spec = detector.preprocessing
    values = spec.example()[0].numel() / 3  # of an image: its pixels
    small = sum(p.numel() for p in detector.parameters()) * values <= AT_ONCE
    return small or is_remembered(chosen)


def explanation(chosen: Calibration, frames: Sequence[Frame]) -> str:
    """That the model is calibrated and no more, and whether it has seen the frames; before it is made, how to do so."""
    name, scheme = chosen.choice.name, in_markdown(Scheme.parse(chosen.scheme))
    if not is_ready(chosen):
        return f"Quantize **{name}** to {scheme} here, or start a run, which tunes it, too."
    known, noun = overlap(chosen.files, [frame.image for frame in frames], image_hash), entry(name).input.noun
    apart = "None of the frames below is one of them"
    flattering = f"{known} of the {len(frames)} frames below are among them, which flatters it"
    return (
        f"**{name} in {scheme}, calibrated just now on {sources.count(len(chosen.images), noun)}; not tuned.** "
        f"{flattering if known else apart}. Start a run to tune it; it then appears here."
    )


def start_button(chosen: Calibration) -> None:
    """A button that makes the model, with the time that it will take."""
    seconds = PASSES * len(chosen.images) * pass_seconds(chosen.choice)
    if st.button(f"Quantize now, about {about(seconds)}", type="primary", icon=":material/compress:"):
        remembered(chosen, chosen.made)
        st.rerun()


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=PATHS)
def pass_seconds(choice: DetectorChoice) -> float:
    """What the detector takes for one image on this machine."""
    detector, took = load_detector(choice), []
    image = detector.preprocessing.normalize(detector.preprocessing.example()).to(detector.device)
    with torch.no_grad():
        for _ in range(2):  # the first time may be slow
            start = time.perf_counter()
            detector(image)
            took.append(time.perf_counter() - start)
    return min(took)
