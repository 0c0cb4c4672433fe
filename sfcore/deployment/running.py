"""A detector whose network an engine runs: a detector like any other, so that all that takes one takes it."""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.engines.base import Session
from sfcore.quant.copies import copied


def running(detector: Detector, session: Session) -> Detector:
    """A copy of a detector whose forward is an engine's, an image at a time; all else is the detector's own.

    Args:
        session: of a file exported from it, for one image.
    """
    model = copied(detector).eval()

    def forward(inputs: Tensor) -> Outputs:
        found = zip(*(session(image.cpu().numpy()) for image in inputs.split(1)), strict=True)
        parts = zip(model.heads, found, strict=True)
        return {head.name: torch.cat([torch.from_numpy(each) for each in part]) for head, part in parts}

    model.forward = forward  # type: ignore[method-assign]
    return model
