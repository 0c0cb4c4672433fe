"""Reconstruction of a layer or a block: from what reaches it in the quantized network, what it should put out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector
from sfcore.quant.capture import captured
from sfcore.quant.inference import prepared
from sfcore.quant.reconstruct.cache import Cache, Place, pack, unpack
from sfcore.quant.reconstruct.drop import dropping, mixed
from sfcore.quant.reconstruct.saved_bytes import bytes_saved
from sfcore.quant.reconstruct.units import Leaf, Unit

Calls = list[list[Tensor]]  # tensors by call
ByCall = tuple[tuple[Leaf, ...], ...]
# Bytes that a step may keep for its gradients, by device; a larger batch is taken in parts. What it takes beside them
# was measured at up to four times as much.
PART = {"cpu": 2**28, "cuda": 2**32}


class UnitReconstruction:
    """min ‖f̂(x̂) - f(x)‖²: summed over channels, averaged over the rest, as in the code of BRECQ and QDrop.

    x̂ is what reaches the unit in the quantized network as it is now, x in the full-precision one. With a drop
    probability x̂ is mixed elementwise with x. A unit that runs several times counts each time alike.

    Args:
        quantized: holds the unit; its other parts are not needed.
        before: a copy of the quantized network as it is now.
        teacher: the same network at full precision.
        images: (N, ...) stacked frames.
    """

    def __init__(
        self,
        unit: Unit,
        quantized: Detector,
        before: Detector,
        teacher: Detector,
        images: Tensor,
        batch: int,
        drop: float,
        place: Place,
    ) -> None:
        self.unit, self.module = unit, quantized.get_submodule(unit.name)
        self.images, self.size, self.drop = len(images), batch, drop
        self.template = captured(before, unit.name, unit.calls, prepared(before, images[:1]))
        self.most = max(1, min(batch, PART.get(quantized.device.type, PART["cpu"]) // max(self._saved(), 1)))
        self.still = captured(teacher, unit.name, unit.calls, prepared(teacher, images[:1]))
        self.cache = Cache(
            lambda index: _record(unit, before, teacher, images[index : index + 1], drop), self.images, place
        )

    def draw(self, iteration: int, generator: torch.Generator, masks: torch.Generator) -> tuple[Calls, Calls]:
        """Inputs and targets of some images."""
        index = torch.randint(self.images, (self.size,), generator=generator)
        rows = iter(self.cache.batch(index))
        inputs = _batch(self.unit.inputs, rows, [call.inputs for call in self.template])
        if self.drop:
            full = _batch(self.unit.inputs, rows, [call.inputs for call in self.still])
            inputs = [
                [mixed(f, q, self.drop, masks) if q.is_floating_point() else q for f, q in zip(*pair, strict=True)]
                for pair in zip(full, inputs, strict=True)
            ]
        return inputs, _batch(self.unit.outputs, rows, [call.outputs for call in self.still])

    def _saved(self) -> int:
        """Bytes that a step keeps of each image until its gradients are taken: two images' less one's."""
        one = [call.inputs for call in self.template]
        one, two = (_changed(self.unit.inputs, one, partial(_repeated, count=count)) for count in (1, 2))
        self.module.requires_grad_(True)
        with dropping(self.module, self.drop, torch.Generator(one[0][0].device).manual_seed(0)):
            first, second = (bytes_saved(partial(self._outputs, inputs)) for inputs in (one, two))
        self.module.requires_grad_(False)
        return second - first

    def _outputs(self, inputs: Calls) -> Calls:
        return [call.repeat(self.module, each) for call, each in zip(self.template, inputs, strict=True)]

    def parts(self, batch: tuple[Calls, Calls]) -> Iterator[tuple[float, tuple[Calls, Calls]]]:
        """Of so many images that what a step keeps of them fits in PART bytes; the loss is a mean over images."""
        inputs, targets = (
            _split(leaves, calls, self.size, self.most)
            for leaves, calls in zip((self.unit.inputs, self.unit.outputs), batch, strict=True)
        )
        for place, part in enumerate(zip(inputs, targets, strict=True)):
            yield min(self.most, self.size - place * self.most) / self.size, part

    def loss(self, batch: tuple[Calls, Calls]) -> tuple[Tensor, dict[str, Any]]:
        errors = []
        for outputs, targets in zip(self._outputs(batch[0]), batch[1], strict=True):
            errors.append(sum(_error(output, target) for output, target in zip(outputs, targets, strict=True)))
        loss = sum(errors[1:], errors[0]) / len(errors)
        assert isinstance(loss, Tensor)  # every unit has an output
        return loss, {"terms": {"reconstruction": loss.detach()}}

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing: batches are functions of the iteration."""


def _repeated(tensor: Tensor, axis: int, count: int) -> Tensor:
    return torch.cat([tensor] * count, axis)


def bytes_needed(unit: Unit, images: int, drop: float) -> int:
    """Bytes of a unit's cached activations."""
    inputs, outputs = (sum(leaf.bytes for call in calls for leaf in call if leaf.axis is not None)
                       for calls in (unit.inputs, unit.outputs))  # fmt: skip
    return images * (inputs * (2 if drop else 1) + outputs)


def _error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, summed over channels (dimension 1 of a map, else the last) and averaged over the rest."""
    channels = output.shape[1 if output.ndim == 4 else -1]
    return functional.mse_loss(output, target, reduction="sum") * (channels / output.numel())


def _record(unit: Unit, before: Detector, teacher: Detector, pixels: Tensor, drop: float) -> list[Tensor]:
    """The rows of one image: inputs in the quantized network, with a drop those in the other, and its outputs."""
    quantized, full = (captured(model, unit.name, unit.calls, prepared(model, pixels)) for model in (before, teacher))
    rows = _rows(unit.inputs, [call.inputs for call in quantized])
    rows += _rows(unit.inputs, [call.inputs for call in full]) if drop else []
    return rows + _rows(unit.outputs, [call.outputs for call in full])


def _rows(leaves: ByCall, calls: Calls) -> list[Tensor]:
    pairs = [pair for call in zip(leaves, calls, strict=True) for pair in zip(*call, strict=True)]
    return [pack(tensor, leaf.axis) for leaf, tensor in pairs if leaf.axis is not None]


def _batch(leaves: ByCall, rows: Any, constant: Calls) -> Calls:
    """The tensors of each call: from the next rows, or what is the same for all images."""
    return _changed(leaves, constant, lambda _, axis: unpack(next(rows), axis))


def _split(leaves: ByCall, calls: Calls, size: int, most: int) -> Iterator[Calls]:
    """The tensors of ``size`` images as those of ``most`` images at a time."""

    def cut(tensor: Tensor, axis: int, place: int) -> Tensor:
        return tensor.split(tensor.shape[axis] // size * most, axis)[place]

    return (_changed(leaves, calls, partial(cut, place=place)) for place in range(-(-size // most)))


def _changed(leaves: ByCall, calls: Calls, change: Callable[[Tensor, int], Tensor]) -> Calls:
    """The tensors of each call, changed along the axis of images where they have one, else copied: a unit may write
    into its inputs."""
    return [
        [tensor.clone() if leaf.axis is None else change(tensor, leaf.axis) for leaf, tensor in zip(*call, strict=True)]
        for call in zip(leaves, calls, strict=True)
    ]
