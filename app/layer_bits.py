"""Bits layer by layer, chosen by eye: what the Layers page asks of sfcore, cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app import calibration
from app.calibration import BATCH, Calibration
from app.perturbation import Moved
from app.session import PATHS, DetectorChoice, Studio, frame_of, is_remembered, load_detector, remembered, written
from app.style import Bar
from sfcore.datasets.dataset import Frame, spread
from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.allocation import Allocation, Allocator, Constraints, Own, scheme_of
from sfcore.quant.budget import Budget
from sfcore.quant.cost import Layer, Profile
from sfcore.quant.front import Axis, Point, front
from sfcore.quant.inference import run
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import Scheme
from sfcore.quant.sensitivities import Sensitivities, sensitivities
from sfcore.tasks.base import Agreement

JUDGED = 8  # frames, none of them calibrated on, that the mean distortion is of
_DIGITS = "0123456789abcdefg"  # of bits in a link, 0 to 16
ROUNDS = 1  # of measuring and adjusting an allocation here, where somebody waits

Images = tuple[tuple[Path, float], ...]  # with when they were written
LayerBits = tuple[tuple[int, int], ...]  # of weights and activations of each layer; 0 for weights where it has none


@dataclass(frozen=True)
class Study:
    """A detector whose layers' bits are looked at, as a key of the caches.

    Attributes:
        choice: the detector.
        images: that it is calibrated and measured on.
        unseen: others, that its distortion is told of.
    """

    choice: DetectorChoice
    images: Images
    unseen: Images

    @classmethod
    def of(cls, view: Studio) -> Study:
        """Of the sidebar's detector, on some of the chosen images.

        Raises:
            InputError: none of the images can be read.
        """
        here = calibration.of(view, "W4A4")
        rest: Sequence[Frame] = calibration.unseen(view.frames, here)
        others = tuple((frame.image, written(frame.image)) for frame in spread(rest, min(JUDGED, len(rest))))
        return cls(view.choice, here.images, others)

    @property
    def calibration(self) -> Calibration:
        """The same as one of the other pages knows it."""
        return Calibration(self.choice, "W4A4", self.images)

    @property
    def ranges(self) -> Ranges:
        """Of its quantizers; shared by all visitors."""
        return _ranges(self.choice, self.images)

    @property
    def profile(self) -> Profile:
        return self.ranges.profile

    @property
    def layers(self) -> tuple[Layer, ...]:
        """In the order of data."""
        return self.profile.layers

    def harm(self, widths: Sequence[int]) -> Sensitivities:
        """What each quantizer does alone at some bits, with a progress bar where it is not known yet."""
        return remembered(("layers", self, tuple(widths)), lambda: self._measured(widths))

    def _measured(self, widths: Sequence[int]) -> Sensitivities:
        frames, bar = stacked(self.choice, self.images), Bar("Measuring layers, one at a time")
        found = sensitivities(self.ranges, frames, widths, progress=bar)
        bar.close()
        return found

    def outputs(self, scheme: Scheme, image: Path) -> Outputs:
        """Head outputs of one image in a scheme, batch of one."""
        return remembered(("layers", self, str(scheme), image, written(image)), lambda: self._outputs(scheme, image))

    def _outputs(self, scheme: Scheme, image: Path) -> Outputs:
        model = _model(self, str(scheme))
        return run(model, stacked(self.choice, ((image, written(image)),)))

    def moved(self, view: Studio, scheme: Scheme) -> Moved:
        """The prediction about the shown image in a scheme beside the full-precision one."""
        before, after = view.prediction(), view.detector.decode(self.outputs(scheme, view.image))
        return Moved(before, after, view.task.distortion(before, after))

    def agreement(self, scheme: Scheme) -> Agreement:
        """With full precision, on the unseen images."""
        return remembered(("layers", self, str(scheme)), lambda: self._agreement(scheme))

    def _agreement(self, scheme: Scheme) -> Agreement:
        detector, frames = load_detector(self.choice), stacked(self.choice, self.unseen)
        reference = remembered(("layers", self, "reference"), lambda: run(detector, frames))
        found = run(_model(self, str(scheme)), frames)
        return detector.task.agreement(detector.decode(reference), detector.decode(found))

    def allot(self, budget: Budget, constraints: Constraints, own: Own) -> Allocation:
        """The best bits within a budget, some layers having theirs already.

        Raises:
            InputError: the budget cannot be met.
        """
        allocator, bar = self._allocator(constraints), Bar("Measuring allocations")
        found = allocator.allocate([budget], rounds=ROUNDS, own=own, progress=bar)
        bar.close()
        return found

    def front(self, constraints: Constraints, axis: Axis, make: bool) -> list[Point] | None:
        """What budgets of bit operations or size buy, judged on the unseen images; None where that is not known and not
        to be measured."""
        key = ("front", self, constraints, axis)
        return remembered(key, partial(self._front, constraints, axis)) if make or is_remembered(key) else None

    def _front(self, constraints: Constraints, axis: Axis) -> list[Point]:
        allocator, bar = self._allocator(constraints), Bar("Measuring budgets")
        found = front(allocator, stacked(self.choice, self.unseen), axis, progress=bar)
        bar.close()
        return found

    def _allocator(self, constraints: Constraints) -> Allocator:
        harm, frames = self.harm(constraints.candidates), stacked(self.choice, self.images)
        return Allocator(self.ranges, harm, frames, constraints)


@st.cache_resource(max_entries=4, show_spinner="Reading what the layers see", hash_funcs=PATHS)
def _ranges(choice: DetectorChoice, images: Images) -> Ranges:
    detector, frames = load_detector(choice), stacked(choice, images)
    batches = [detector.preprocessing.normalize(part.to(detector.device)) for part in frames.split(BATCH)]
    return Ranges.of(detector, Scheme(8, 8), batches)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=PATHS | {Study: hash})
def _model(study: Study, scheme: str) -> Detector:
    """The detector in a scheme; shared by all visitors, never to be changed."""
    return study.ranges.quantized(Scheme.parse(scheme))


def stacked(choice: DetectorChoice, images: Images) -> Tensor:
    """(N, ...) frames as networks' inputs are made of."""
    spec = load_detector(choice).preprocessing
    return torch.cat([spec.stack([frame_of(spec, *image)]) for image in images])


def bits_of(profile: Profile, scheme: Scheme) -> LayerBits:
    """What each layer gets in a scheme."""
    each = zip(profile.layers, profile.bits(scheme), strict=True)
    return tuple((bits.weights if layer.weights else 0, bits.activations) for layer, bits in each)


def in_scheme(profile: Profile, bits: LayerBits) -> Scheme:
    """The scheme that gives layers their bits."""
    return scheme_of(profile.layers, bits, Scheme(8, 8))


def as_code(bits: LayerBits) -> str:
    """Bits as a link holds them: two digits a layer."""
    return "".join(_DIGITS[number] for pair in bits for number in pair)


def from_code(text: str | None, layers: Sequence[Layer]) -> LayerBits | None:
    """Bits of a link; None where it does not fit the layers."""
    numbers = [_DIGITS.find(digit) for digit in text or ""]
    bits = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) != 2 * len(layers):
        return None
    fit = all((w >= 2) == bool(layer.weights) and w in (0, *range(2, 17)) and a >= 2 for layer, (w, a) in
              zip(layers, bits, strict=True))  # fmt: skip
    return bits if fit else None


def block_of(layer: str) -> str:
    """The part of the network that a layer is listed under: what its name begins with, two parts at most."""
    return ".".join(layer.split(".")[:-1][:2])


def tune_query(choice: DetectorChoice, scheme: Scheme) -> dict[str, Any]:
    """What the Tune page's link holds for a scheme."""
    rules = ", ".join(map(str, scheme.rules))
    return {"detector": choice.name, "t_bits": replace(scheme, rules=()).base, "t_layer_bits": rules}
