"""Running a detector over image files, few of which are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from sfcore.datasets.images import image_batches
from sfcore.detectors.base import Detector, Outputs
from sfcore.lanes import Lanes, cat

Progress = Callable[[int, int], None]


@torch.no_grad()
def head_outputs(detector: Detector, files: Sequence[Path], progress: Progress | None = None) -> Outputs:
    """The raw head outputs of all files, on the detector's device.

    Args:
        progress: called with (images done, images in all).

    Raises:
        InputError: an image cannot be read.
    """
    batches: list[Outputs] = []
    for done, images in image_batches(files):
        batches.append(detector(detector.preprocess(images)))
        if progress:
            progress(done, len(files))
    return {head: torch.cat([batch[head] for batch in batches]) for head in batches[0]}


@torch.no_grad()
def detect_lanes(detector: Detector, files: Sequence[Path], progress: Progress | None = None) -> Lanes:
    """The lanes of all files on the CPU, in the pixels of the detector's frame; see :func:`head_outputs`."""
    found: list[Lanes] = []
    for done, images in image_batches(files):
        found.append(detector.decode(detector(detector.preprocess(images))).to("cpu"))
        if progress:
            progress(done, len(files))
    return cat(found)
