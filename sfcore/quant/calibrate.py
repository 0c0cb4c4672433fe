"""Finding ranges from a few images, and correcting the mean error that quantization leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.calibrators import CALIBRATORS, Calibrator, Grid
from sfcore.quant.convert import convert
from sfcore.quant.copies import copied
from sfcore.quant.fidelity import require_same, said_of
from sfcore.quant.hooks import hooks
from sfcore.quant.inference import in_batches
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers.uniform import FakeQuantizer, full_precision, limits, quantizers
from sfcore.quant.scheme import Scheme
from sfcore.sensitivity.noise import relative_noise

WEIGHTS, ACTIVATIONS = "omse", "moving-average-omse"  # the calibrators of the published run
BIAS_IMAGES = 128  # whose means bias correction matches, at most; one forward pass holds them all,
BIAS_BYTES = 512 * 2**20  # and no layer's output of them takes more than this
CHECKED = 4  # images on which the copy, not yet quantized, must compute what the detector does
JUDGED = 32  # images on which it must help
SAMPLES = 4096  # values of an activation that its range is searched on, per batch
ROOM = 2**22  # values that are made room for at once

Progress = Callable[[int, int], None]


def quantize(
    detector: Detector,
    scheme: Scheme,
    batches: Sequence[Tensor],
    weights: str = WEIGHTS,
    activations: str = ACTIVATIONS,
    bias_correction: bool = True,
    progress: Progress | None = None,
) -> Detector:
    """A quantized, calibrated copy of a detector.

    Args:
        batches: preprocessed frames, each (B, ...); all are used for the ranges of activations.
        weights, activations: names of their calibrators.
        bias_correction: remove the mean error of each layer's output, layer after layer, if that leaves the
            predictions about these frames less distorted. On sparse heat maps it may not: few large values fall
            short, and all others are raised for them.
        progress: called with (batches done, batches in all).

    What stays in full precision is said by the copy's ``full_precision``.

    Raises:
        InputError: no such calibrator, nothing to quantize, a value that is not finite, or a copy that would not
            compute the same with quantization off (the message names the module).
    """
    of_weights, of_activations = CALIBRATORS[weights], CALIBRATORS[activations]
    with said_of(detector):
        model = convert(detector, scheme)
        with full_precision(model):
            require_same(detector, model, batches[0][:CHECKED])
        calibrate_weights(model, of_weights)
        calibrate_activations(model, batches, of_activations, progress)
        if not bias_correction:
            return model
        corrected = copied(model)
        most = BIAS_BYTES // _largest_output(model, batches[0][:1])
        correct_biases(corrected, _first_images(batches, min(BIAS_IMAGES, max(most, 1))))
        return _least_harmed(detector, (corrected, model), _first_images(batches, JUDGED))


@torch.no_grad()
def _least_harmed(detector: Detector, models: Sequence[Detector], images: Tensor) -> Detector:
    """The first of the models whose predictions have the least mean distortion, and, to choose where all objects are
    lost, whose heads have the least mean noise level."""
    batches = images.split(JUDGED // 4)
    full = in_batches(detector, batches)
    reference = detector.decode(full)

    def harm(model: Detector) -> tuple[float, float]:
        outputs = in_batches(model, batches)
        score = detector.task.distortion(reference, detector.decode(outputs)).score.double().mean()
        return float(score), sum(relative_noise(outputs[name], full[name]) for name in full) / len(full)

    return min(models, key=harm)


def _first_images(batches: Sequence[Tensor], most: int) -> Tensor:
    """At most ``most`` images from the front of the batches, without making the others."""
    taken: list[Tensor] = []
    for index in range(len(batches)):
        taken.append(batches[index])
        if sum(map(len, taken)) >= most:
            break
    return torch.cat(taken)[:most]


@torch.no_grad()
def calibrate_weights(model: nn.Module, search: Calibrator) -> None:
    """Ranges of all weights: one for each step size that the quantizer has, per output channel or per tensor."""
    for name, module in model.named_modules():
        if isinstance(module, QuantLayer):
            quantizer = module.weight_quantizer
            _calibrate(f"{name}.weight", quantizer, [module.weight.reshape(quantizer.scale.numel(), -1)], True, search)


@torch.no_grad()
def calibrate_activations(
    model: Detector, batches: Sequence[Tensor], search: Calibrator, progress: Progress | None = None
) -> None:
    """The range of every activation tensor.

    A tensor that is nowhere negative gets the unsigned integers.
    """
    watched = {q: name for name, q in quantizers(model) if not name.endswith("weight_quantizer")}
    samples: dict[FakeQuantizer, list[Tensor]] = {q: [] for q in watched}
    least: dict[FakeQuantizer, float] = {}
    room = _Room()

    def before(quantizer: FakeQuantizer, inputs: Any) -> None:
        x = inputs[0]
        least[quantizer] = min(least.get(quantizer, 0.0), float(x.min()))
        samples[quantizer].append(room.kept(_subsample(x.flatten(), SAMPLES, both_ends=quantizer.zero is not None)))

    with full_precision(model), hooks(watched, before=before):
        for done, batch in enumerate(batches, 1):
            model(batch)
            if progress:
                progress(done, len(batches))
    for quantizer, seen in samples.items():
        if seen:
            rows = [values.unsqueeze(0) for values in seen]
            _calibrate(watched[quantizer], quantizer, rows, least[quantizer] < 0, search)
        else:
            quantizer.set_unknown()


class _Room:
    """Keeps small tensors in few large ones.

    Each kept where it was made, between the large activations that come and go, it would leave gaps that no
    activation fits into, and memory would grow with every batch.
    """

    def __init__(self) -> None:
        self.left = torch.empty(0)

    def kept(self, values: Tensor) -> Tensor:
        """A copy of (N,) values."""
        if len(values) > len(self.left) or values.device != self.left.device:
            self.left = values.new_empty(max(ROOM, len(values)))
        kept, self.left = self.left[: len(values)], self.left[len(values) :]
        return kept.copy_(values)


def _calibrate(
    name: str, quantizer: FakeQuantizer, batches: Sequence[Tensor], negative: bool, search: Calibrator
) -> None:
    """Give a quantizer the range that the calibrator finds.

    Args:
        batches: values, each (C, N) with a row for each step size.
        negative: whether there are negative values.

    Raises:
        InputError: a value is not finite.
    """
    if not all(values.isfinite().all() for values in batches):
        raise InputError(f"{name} of the full-precision network holds values that are not finite: mend its weights")
    affine = quantizer.zero is not None
    signed = negative and not affine
    found = search(batches, Grid(*limits(quantizer.bits, signed), affine))
    quantizer.set_range(found.scale, signed, found.zero)


def _subsample(values: Tensor, most: int, both_ends: bool) -> Tensor:
    """At most ``most`` values at even distances, the largest magnitude, or both ends of the range, among them."""
    if len(values) <= most:
        return values.clone()
    step = len(values) // most + 1
    ends = torch.stack(values.aminmax()) if both_ends else values[values.abs().argmax()].reshape(1)
    return torch.cat([values[::step], ends])


@torch.no_grad()
def correct_biases(model: Detector, images: Tensor) -> None:
    """Shift each layer's bias so that its mean output per channel is the full-precision one.

    Layers are corrected in the order in which they run, each seeing the corrected ones before it, in one
    forward pass of ``images`` (Nagel et al. 2019, section 4.2, with means measured rather than derived).
    """
    layers = _layers(model)
    means: dict[QuantLayer, list[Tensor]] = {layer: [] for layer in layers}
    shifts: dict[QuantLayer, list[Tensor]] = {layer: [] for layer in layers}

    def record(layer: QuantLayer, _: Any, output: Tensor) -> None:
        means[layer].append(_channel_mean(layer, output))

    def correct(layer: QuantLayer, _: Any, output: Tensor) -> Tensor:
        done = shifts[layer]
        done.append(means[layer][len(done)] - _channel_mean(layer, output))
        if len(done) == len(means[layer]):  # a layer that runs several times has one bias for all its calls
            layer.bias.add_(torch.stack(done).mean(0))
        return output + done[-1].reshape(-1, *[1] * (layer.weight.ndim - 2))

    with full_precision(model), hooks(layers, after=record):
        model(images)
    with hooks(layers, after=correct):
        model(images)


@torch.no_grad()
def _largest_output(model: Detector, image: Tensor) -> int:
    """Bytes of the largest output of a layer for one frame, (1, ...)."""
    sizes: list[int] = []
    with hooks(_layers(model), after=lambda _, __, output: sizes.append(output.nbytes)):
        model(image)
    return max(sizes)


def _layers(model: nn.Module) -> list[QuantLayer]:
    return [module for module in model.modules() if isinstance(module, QuantLayer)]


def _channel_mean(layer: QuantLayer, output: Tensor) -> Tensor:
    """(C,) mean of each output channel: the last dimension of linear layers, before the map's of convolutions."""
    return output.movedim(1 - layer.weight.ndim, 0).flatten(1).mean(1)
