"""Running a detector over image files, few of which are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.passes import forward_passes
from sfcore.tasks.base import Prediction

Progress = Callable[[int, int], None]
BATCH = 8  # images that the network sees at once


def input_batches(detector: Detector, files: Sequence[Path], size: int = BATCH) -> Iterator[tuple[int, Tensor]]:
    """Network inputs of the files, at most ``size`` a batch, each time with how many have been read.

    One image is in memory at a time as it lies in its file, for it may be a hundred times as large as an input.

    Raises:
        InputError: an image cannot be read.
    """
    for start in range(0, len(files), size):
        part = files[start : start + size]
        yield start + len(part), torch.cat([detector.preprocess([detector.preprocessing.read(file)]) for file in part])


@torch.no_grad()
def head_outputs(detector: Detector, files: Sequence[Path], progress: Progress | None = None) -> Outputs:
    """The raw head outputs of all files, on the detector's device.

    Args:
        progress: called with (images done, images in all).

    Raises:
        InputError: an image cannot be read.
    """
    batches: list[Outputs] = []
    with forward_passes():
        for done, inputs in input_batches(detector, files):
            batches.append(detector(inputs))
            if progress:
                progress(done, len(files))
    return {head: torch.cat([batch[head] for batch in batches]) for head in batches[0]}


def predictions_of(detector: Detector, files: Sequence[Path], progress: Progress | None = None) -> Any:
    """The prediction about all files on the CPU, in the detector's own frame; see :func:`head_outputs`."""
    return decoded(detector, files, [detector.decode], progress)[0]


@torch.no_grad()
def decoded(
    detector: Detector,
    files: Sequence[Path],
    ways: Sequence[Callable[[Outputs], Prediction]],
    progress: Progress | None = None,
) -> list[Any]:
    """The prediction about all files in each of several ways of decoding; see :func:`predictions_of`."""
    found: list[list[Prediction]] = [[] for _ in ways]
    with forward_passes():
        for done, inputs in input_batches(detector, files):
            outputs = detector(inputs)
            for batches, decode in zip(found, ways, strict=True):
                batches.append(decode(outputs).to("cpu"))
            if progress:
                progress(done, len(files))
    return [detector.task.join(batches) for batches in found]
