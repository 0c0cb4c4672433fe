"""What a detector of boxes in space promises, beside what every detector does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfcore.promises import expect
from sfcore.tasks.boxes3d.types import Boxes3d

if TYPE_CHECKING:
    from sfcore.detectors.contract import Check, Subject

REACH = 0.5  # of the extent's sides, that a centre may lie outside of it


def boxes_on_the_ground(on: Subject) -> None:
    """Every box has a size, a heading and a named class, and stands in or near the detector's extent."""
    for outputs, noisy in ((on.outputs, False), (on.noisy, True)):
        found = on.detector.decode(outputs)
        expect(isinstance(found, Boxes3d), f"decode returns {type(found).__name__}: it must return Boxes3d")
        x_min, y_min, x_max, y_max = found.extent
        expect(x_min < x_max and y_min < y_max, f"the extent {found.extent} is empty: give x_min, y_min, x_max, y_max")
        expect(bool(found.names), "the boxes have no names of classes")
        labels, scores = found.label[found.present], found.score[found.present]
        expect(((labels >= 0) & (labels < len(found.names))).all(), f"labels leave 0 to {len(found.names) - 1}")
        expect(((scores >= 0) & (scores <= 1)).all(), "scores leave 0 to 1")
        box = found.box[found.present]
        expect(box.isfinite().all(), "a box has a number that is not finite")
        expect((box[:, 3:6] > 0).all(), "a box has no length, width or height")
        sides = box.new_tensor([x_max - x_min, y_max - y_min])
        share = (box[:, :2] - box.new_tensor([x_min, y_min])) / sides
        near = ((share >= -REACH) & (share <= 1 + REACH)).all()
        expect(noisy or near, f"a box stands far outside of the extent {found.extent}")


PROMISES: dict[str, Check] = {"decoded boxes have a size and a class and stand near the extent": boxes_on_the_ground}
