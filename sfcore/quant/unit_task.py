"""Reconstruction of a layer or a block: from what reaches it in the quantized network, what it should put out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.detectors.base import Detector
from sfcore.quant.cache import Cache, Place, pack, unpack
from sfcore.quant.capture import captured
from sfcore.quant.drop import mixed
from sfcore.quant.inference import prepared
from sfcore.quant.units import Leaf, Unit

Calls = list[list[Tensor]]  # tensors by call


class UnitTask:
    """min ‖f̂(x̂) - f(x)‖²: summed over channels, averaged over the rest, as in the code of BRECQ and QDrop.

    x̂ is what reaches the unit in the quantized network as it is now, x in the full-precision one. With a drop
    probability x̂ is mixed elementwise with x. A unit that runs several times counts each time alike.

    Args:
        quantized: holds the unit; its other parts are not needed.
        before: a copy of the quantized network as it is now.
        teacher: the same network at full precision.
        images: (N, 3, H, W) uint8.
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

    def loss(self, batch: tuple[Calls, Calls]) -> tuple[Tensor, dict[str, Any]]:
        errors = []
        for call, inputs, targets in zip(self.template, *batch, strict=True):
            outputs = call.repeat(self.module, inputs)
            errors.append(sum(_error(output, target) for output, target in zip(outputs, targets, strict=True)))
        loss = sum(errors[1:], errors[0]) / len(errors)
        assert isinstance(loss, Tensor)  # every unit has an output
        return loss, {"terms": {"reconstruction": float(loss.detach())}}

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing: batches are functions of the iteration."""


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


def _rows(leaves: tuple[tuple[Leaf, ...], ...], calls: Calls) -> list[Tensor]:
    pairs = [pair for call in zip(leaves, calls, strict=True) for pair in zip(*call, strict=True)]
    return [pack(tensor, leaf.axis) for leaf, tensor in pairs if leaf.axis is not None]


def _batch(leaves: tuple[tuple[Leaf, ...], ...], rows: Any, constant: Calls) -> Calls:
    """The tensors of each call: from the next rows, or what is the same for all images."""
    return [
        [tensor if leaf.axis is None else unpack(next(rows), leaf.axis) for leaf, tensor in zip(*call, strict=True)]
        for call in zip(leaves, constant, strict=True)
    ]
