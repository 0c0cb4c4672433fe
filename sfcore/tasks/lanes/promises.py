"""What a lane detector promises, beside what every detector does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sfcore.promises import expect
from sfcore.tasks.lanes.types import Lanes

if TYPE_CHECKING:
    from sfcore.detectors.contract import Check, Subject


def lanes_in_frame(on: Subject) -> None:
    """Every lane has the detector's rows and lies in its frame."""
    height, width = on.detector.frame
    for outputs in (on.outputs, on.noisy):
        lanes = on.detector.decode(outputs)
        expect(isinstance(lanes, Lanes), f"decode returns {type(lanes).__name__}: it must return Lanes")
        expect(lanes.size == (height, width), f"lanes are for {lanes.size}, the frame is {(height, width)}")
        expect(torch.equal(lanes.rows, on.detector.rows), "lanes have other rows than the detector")
        expect(((lanes.rows >= 0) & (lanes.rows <= height - 1)).all(), f"rows leave 0 to {height - 1}")
        known = lanes.x[lanes.valid]
        expect(((known >= 0) & (known <= width - 1)).all(), f"x leaves 0 to {width - 1}: set NaN there")


PROMISES: dict[str, Check] = {"decoded lanes lie in the frame, on its rows": lanes_in_frame}
