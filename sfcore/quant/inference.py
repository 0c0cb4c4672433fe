"""Running a model over frames that are held stacked: images as pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.devices import sent
from sfcore.passes import forward_passes

INFERENCE_BATCH = 16


def channels_last(model: Detector) -> Detector:
    """The same model with its convolutions' weights in the memory order that CPUs and tensor cores are fast in."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return model


def prepared(model: Detector, stacked: Tensor) -> Tensor:
    """The network's input, on its device and in its memory order, of stacked frames."""
    return in_memory_order(model.preprocessing.normalize(sent(stacked, model.device)))


def in_memory_order(inputs: Tensor) -> Tensor:
    """Inputs in the memory order that :func:`channels_last` gives weights; of images, or what else has two sides."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


@torch.no_grad()
def run(model: Detector, images: Tensor, batch: int = INFERENCE_BATCH) -> Outputs:
    """Head outputs of stacked frames, batch by batch.

    Args:
        images: (N, ...), as :meth:`InputSpec.stack` gives: (N, 3, H, W) uint8.
    """
    return in_batches(model, (prepared(model, part) for part in images.split(batch)))


@torch.no_grad()
def in_batches(model: Detector, batches: Iterable[Tensor]) -> Outputs:
    """Head outputs of preprocessed images, joined."""
    with forward_passes():
        parts = [model(batch) for batch in batches]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def first_images(batches: Sequence[Tensor], most: int) -> Tensor:
    """At most ``most`` images from the front of the batches, without making the others."""
    taken: list[Tensor] = []
    for index in range(len(batches)):
        taken.append(batches[index])
        if sum(map(len, taken)) >= most:
            break
    return torch.cat(taken)[:most]
