"""Who measures while bits are allocated: this process, or others that share the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.criteria import OutputCriterion
from sfcore.quant.inference import channels_last, run
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import Scheme
from sfcore.quant.sensitivities import Place, by_outputs
from sfcore.tasks.base import Agreement, Prediction

REFERENCES = 2  # full-precision predictions that are kept: of frames that bits are chosen on, and judged on


class Measurer(Protocol):
    """Measures what quantizers do alone, and what they do together."""

    def harms(
        self, ranges: Ranges, frames: Tensor, kinds: Mapping[str, type[OutputCriterion]], places: Sequence[Place]
    ) -> Iterable[tuple[Place, dict[str, float]]]:
        """Of each place, in their order, by criterion: see :func:`sfcore.quant.sensitivities.by_outputs`."""

    def agreements(self, schemes: Sequence[Scheme], frames: Tensor) -> Iterator[Agreement]:
        """Of calibrated models in schemes with full precision, in their order; biases as they are."""


class Here:
    """This process, one scheme after the other."""

    harms = staticmethod(by_outputs)

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self._references: list[tuple[Tensor, Prediction]] = []

    def agreements(self, schemes: Iterable[Scheme], frames: Tensor) -> Iterator[Agreement]:
        model = self._model
        for scheme in schemes:
            reference = self._reference(frames)
            self.ranges.put(model, self.ranges.bits(scheme))
            yield model.task.agreement(reference, model.decode(run(model, frames)))

    def _reference(self, frames: Tensor) -> Prediction:
        found = next((prediction for known, prediction in self._references if known is frames), None)
        if found is None:
            self.ranges.put(self._model, dict.fromkeys(self.ranges.names))
            found = self._model.decode(run(self._model, frames))
            self._references = [*self._references[1 - REFERENCES :], (frames, found)]
        return found

    @cached_property
    def _model(self) -> Detector:
        return channels_last(self.ranges.copy())
