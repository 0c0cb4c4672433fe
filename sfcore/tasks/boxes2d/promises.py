"""What a detector of boxes in images promises, beside what every detector does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfcore.promises import expect
from sfcore.tasks.boxes2d.types import Boxes2d

if TYPE_CHECKING:
    from sfcore.detectors.contract import Check, Subject

REACH = 1.0  # heights and widths of the frame that a side may lie outside of it


def boxes_near_frame(on: Subject) -> None:
    """Every box has its sides in order and lies near its frame; its class is one of the names."""
    for outputs, noisy in ((on.outputs, False), (on.noisy, True)):
        found = on.detector.decode(outputs)
        expect(isinstance(found, Boxes2d), f"decode returns {type(found).__name__}: it must return Boxes2d")
        expect(bool(found.names), "the boxes have no names of classes")
        labels, scores = found.label[found.present], found.score[found.present]
        expect(((labels >= 0) & (labels < len(found.names))).all(), f"labels leave 0 to {len(found.names) - 1}")
        expect(((scores >= 0) & (scores <= 1)).all(), "scores leave 0 to 1")
        box = found.box[found.present]
        expect((box[:, 2:] >= box[:, :2]).all(), "a box has its right or lower side before the other")
        sides = box / box.new_tensor([found.size[1], found.size[0]] * 2)
        near = ((sides >= -REACH) & (sides <= 1 + REACH)).all()
        expect(noisy or near, f"a box lies more than a frame outside of the {found.size} that it is given in")


PROMISES: dict[str, Check] = {"decoded boxes are in order, near the frame, of named classes": boxes_near_frame}
