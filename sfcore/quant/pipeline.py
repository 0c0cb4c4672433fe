"""From a detector to its quantized, calibrated copy: a list of steps, each by name and with one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS, Progress, calibrate_activations, calibrate_weights
from sfcore.quant.calibrators import CALIBRATORS, Calibrator
from sfcore.quant.convert import convert
from sfcore.quant.corrections import CORRECTIONS, Correction
from sfcore.quant.fidelity import require_same, said_of
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import TRANSFORMS, USUAL, Transform

CHECKED = 4  # frames on which the copy, not yet quantized, must compute what the detector does
BIAS = "bias"  # the correction of the published run
SPREAD = "spread"  # of weights that are rounded coarsely, such as those of one bit; of no effect on others


@dataclass(frozen=True)
class Work:
    """What the steps are given.

    Attributes:
        detector: the full-precision detector; never changed.
        scheme: bits and grids.
        batches: preprocessed frames, each (B, ...).
        progress: called with (batches done, batches in all) while ranges of activations are found.
    """

    detector: Detector
    scheme: Scheme
    batches: Sequence[Tensor]
    progress: Progress | None = None


Step = Callable[[Work, Detector], Detector]  # the model so far to the model to go on with


def steps(transforms: Sequence[str], weights: str, activations: str, corrections: Sequence[str]) -> list[Step]:
    """Conversion with its transforms, the fitting of these, calibrators, what transforms make of the ranges,
    corrections, in this order.

    Raises:
        InputError: there is none of a name.
    """
    chosen = {name: TRANSFORMS[name]() for name in transforms}
    fits = [partial(_fit, name, transform) for name, transform in chosen.items()]
    ranges = partial(_weights, CALIBRATORS[weights]), partial(_activations, CALIBRATORS[activations])
    mends = [partial(_correct, CORRECTIONS[name]) for name in corrections]
    adjusts = [partial(_adjust, name, transform) for name, transform in chosen.items()]
    return [partial(_convert, transforms), *fits, _check, *ranges, *adjusts, *mends]


def quantize(
    detector: Detector,
    scheme: Scheme,
    batches: Sequence[Tensor],
    weights: str = WEIGHTS,
    activations: str = ACTIVATIONS,
    bias_correction: bool = True,
    progress: Progress | None = None,
    transforms: Sequence[str] = USUAL,
) -> Detector:
    """A quantized, calibrated copy of a detector.

    What stays in full precision is said by the copy's ``full_precision``, what transforms did by its
    ``transform_notes``.

    Args:
        batches: preprocessed frames, each (B, ...), such as (B, 3, H, W); all are used for the ranges of activations.
        weights, activations: names of their calibrators.
        bias_correction: remove the mean error of each layer's output where predictions are less distorted for it, and
            before, where weights have 1 bit, match the spread of these outputs.
        progress: called with (batches done, batches in all).
        transforms: names of what is done to the copy so that it can be quantized better, in this order.

    Raises:
        InputError: there is none of a name, nothing to quantize, a value that is not finite, or a copy that would not
            compute the same with quantization off (the message names the module).

    Example:
        >>> from sfcore.datasets.images import find_images, read_images
        >>> from sfcore.detectors.registry import create
        >>> from sfcore.resources import sample_data
        >>> detector = create("ganet-tiny")
        >>> batch = detector.preprocess(read_images(find_images([sample_data() / "scenes"], limit=4)))
        >>> model = quantize(detector, Scheme.parse("W8A8"), [batch])
        >>> full, quantized = detector.decode(detector(batch)), model.decode(model(batch))
        >>> detector.task.agreement(full, quantized).f1
        1.0
    """
    work, model = Work(detector, scheme, batches, progress), detector
    chosen = steps(transforms, weights, activations, (SPREAD, BIAS) if bias_correction else ())
    with said_of(detector):
        for step in chosen:
            model = step(work, model)
    return model


def _convert(transforms: Sequence[str], work: Work, model: Detector) -> Detector:
    return convert(model, work.scheme, transforms)


def _fit(name: str, transform: Transform, work: Work, model: Detector) -> Detector:
    return _noted(model, name, transform.fit(model, work.batches, work.scheme))


def _adjust(name: str, transform: Transform, work: Work, model: Detector) -> Detector:
    return _noted(model, name, transform.adjust(model, work.detector, work.batches, work.scheme))


def _noted(model: Detector, name: str, said: Sequence[str] | None) -> Detector:
    """The same model, which says what a transform did to it."""
    model.transform_notes += tuple(f"{name}: {each}" for each in said or ())
    return model


def _check(work: Work, model: Detector) -> Detector:
    with full_precision(model):
        require_same(work.detector, model, work.batches[0][:CHECKED])
    return model


def _weights(search: Calibrator, _: Work, model: Detector) -> Detector:
    calibrate_weights(model, search)
    return model


def _activations(search: Calibrator, work: Work, model: Detector) -> Detector:
    calibrate_activations(model, work.batches, search, work.progress)
    return model


def _correct(correction: Correction, work: Work, model: Detector) -> Detector:
    return correction(work.detector, model, work.batches)
