"""Bias correction: the mean error that quantization leaves is taken out (Nagel et al. 2019, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.copies import copied
from sfcore.quant.corrections import CORRECTIONS
from sfcore.quant.hooks import hooks
from sfcore.quant.inference import first_images, in_batches, in_memory_order
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import full_precision
from sfcore.sensitivity.noise import relative_noise

BIAS_IMAGES = 128  # whose means bias correction matches, at most; one forward pass holds them all,
BIAS_BYTES = 512 * 2**20  # and no layer's output of them takes more than this
JUDGED = 32  # images on which it must help

Rescale = Callable[[QuantLayer, Tensor, Tensor], Tensor]


@CORRECTIONS.register("bias")
def bias(detector: Detector, model: Detector, batches: Sequence[Tensor]) -> Detector:
    """Remove the mean error of each layer's output, layer after layer, if that leaves the predictions less distorted.

    On sparse heat maps it may not: few large values fall short, and all others are raised for them.
    """
    corrected = copied(model)
    correct_biases(corrected, measured_images(model, batches))
    return _least_harmed(detector, (corrected, model), first_images(batches, JUDGED))


@torch.no_grad()
def _least_harmed(detector: Detector, models: Sequence[Detector], images: Tensor) -> Detector:
    """The first of the models whose predictions have the least mean distortion, and, to choose where all objects are
    lost, whose heads have the least mean noise level."""
    batches = [in_memory_order(part) for part in images.split(JUDGED // 4)]
    full = in_batches(detector, batches)
    reference = detector.decode(full)

    def harm(model: Detector) -> tuple[float, float]:
        outputs = in_batches(model, batches)
        score = detector.task.distortion(reference, detector.decode(outputs)).score.double().mean()
        return float(score), sum(relative_noise(outputs[name], full[name]) for name in full) / len(full)

    return min(models, key=harm)


def measured_images(model: Detector, batches: Sequence[Tensor]) -> Tensor:
    """The images whose outputs are matched: as many as there is room for the outputs of."""
    most = BIAS_BYTES // _largest_output(model, batches[0][:1])
    return first_images(batches, min(BIAS_IMAGES, max(most, 1)))


@torch.no_grad()
def correct_biases(model: Detector, images: Tensor, rescale: Rescale | None = None) -> None:
    """Shift each layer's bias so that its mean output per channel is the full-precision one.

    Layers are corrected in the order in which they run, each seeing the corrected ones before it, in one
    forward pass of ``images`` (Nagel et al. 2019, section 4.2, with means measured rather than derived).

    Args:
        rescale: called before with a layer, its output in its first call and the (C,) standard deviation of that at
            full precision; returns the output to go on with.
    """
    layers = _layers(model)
    means: dict[QuantLayer, list[Tensor]] = {layer: [] for layer in layers}
    spreads: dict[QuantLayer, Tensor] = {}
    shifts: dict[QuantLayer, list[Tensor]] = {layer: [] for layer in layers}

    def record(layer: QuantLayer, _: Any, output: Tensor) -> None:
        means[layer].append(_channel_mean(layer, output))
        if rescale and layer not in spreads:
            spreads[layer] = channels(layer, output).std(1, correction=0)

    def correct(layer: QuantLayer, _: Any, output: Tensor) -> Tensor:
        done = shifts[layer]
        if rescale and not done:
            output = rescale(layer, output, spreads[layer])
        done.append(means[layer][len(done)] - _channel_mean(layer, output))
        if len(done) == len(means[layer]):  # a layer that runs several times has one bias for all its calls
            layer.bias.add_(torch.stack(done).mean(0))
        return output.add_(done[-1].reshape(-1, *[1] * (layer.weight.ndim - 2)))

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
    return channels(layer, output).mean(1)


def channels(layer: QuantLayer, output: Tensor) -> Tensor:
    """(C, N) a layer's output, channel by channel."""
    return output.movedim(1 - layer.weight.ndim, 0).flatten(1)
