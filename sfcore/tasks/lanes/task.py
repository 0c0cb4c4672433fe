"""The task of lane detection: lane sets, the Lane Distortion Score, lanes over the road."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sfcore.drawing import Image
from sfcore.tasks.base import Agreement, Distortion, Part, Points, Task, Words, register
from sfcore.tasks.lanes import drawing
from sfcore.tasks.lanes.agreement import agreement
from sfcore.tasks.lanes.distortion import LaneDistortion, distortion
from sfcore.tasks.lanes.promises import PROMISES
from sfcore.tasks.lanes.types import Lanes, Polyline, cat

if TYPE_CHECKING:
    from sfcore.detectors.base import Detector, Outputs

NEW = "new lanes"  # those that no lane of the reference is a partner of


@register
class LaneDetection(Task[Lanes]):
    """Lanes; lengths are in pixels at 640 px image width."""

    name = "lanes"
    parts = tuple(Part(name, colour) for name, colour in drawing.COLOURS.items())
    huber_delta = 4.0
    promises = PROMISES
    words = Words(
        singular="lane",
        plural="lanes",
        score="Lane Distortion Score",
        unit="px",
        scene="road",
        explanation="How far the lanes have moved, in pixels at 640 px image width, summed over the lanes. Bend: the "
        "ends of a lane moved. Spike: its middle moved. Misalignment: points that only one of the two lane sets has.",
        agreement="F1 with the full-precision lanes in place of labels, at IoU 0.5; 1 is the same lanes.",
        distortion="Mean Lane Distortion Score per image, against the full-precision lanes.",
        shift="Mean sideways displacement from the full-precision lanes, at 640 px image width.",
        lost="misalignment",
        title="Lanes",
        elsewhere="other roads and cameras",
    )

    def join(self, batches: Sequence[Lanes]) -> Lanes:
        return cat(batches)

    def empty(self, prediction: Lanes) -> Lanes:
        return replace(prediction, x=torch.full_like(prediction.x, float("nan")))

    def distortion(self, reference: Lanes, other: Lanes) -> LaneDistortion:
        return distortion(reference, other)

    def agreement(self, reference: Lanes, other: Lanes) -> Agreement:
        return agreement(reference, other)

    def points(self, detector: Detector, outputs: Outputs) -> Points:
        """Points on the road: see :meth:`sfcore.detectors.base.Detector.road_points`."""
        return detector.road_points(outputs)

    def draw(self, image: Image, prediction: Lanes, index: int = 0) -> Image:
        return drawing.draw_lanes(image, prediction, index)

    def draw_each(self, image: Image, prediction: Lanes, index: int = 0) -> Image:
        return drawing.draw_each(image, prediction.polylines(index))

    def draw_moved(
        self,
        image: Image,
        reference: Lanes,
        other: Lanes,
        moved: Distortion,
        index: int = 0,
        tolerance: float | None = None,
    ) -> Image:
        assert isinstance(moved, LaneDistortion)  # it is of this task
        limit = drawing.TOLERANCE if tolerance is None else tolerance
        return drawing.draw_moved(image, reference, other, moved, index, limit)

    def draw_labels(self, image: Image, objects: Sequence[Polyline], like: Lanes) -> Image:
        return drawing.draw_labels(image, objects, like.size)

    def draw_names(self, image: Image, prediction: Lanes, index: int = 0) -> Image:
        return drawing.name_lanes(image, prediction, index)

    def split(self, reference: Lanes, moved: Distortion) -> dict[str, dict[str, float]]:
        """Lane by lane, from left to right; what was invented is misalignment of its own."""
        assert isinstance(moved, LaneDistortion)  # it is of this task
        names = drawing.lane_names(reference)
        found = {
            names[slot]: {part.name: float(getattr(moved, part.name)[:, slot].mean()) for part in self.parts}
            for slot in sorted(names, key=lambda slot: names[slot])
        }
        extra = float(moved.extra.sum(1).mean())
        return found | {NEW: {part.name: extra if part.name == "misalignment" else 0.0 for part in self.parts}}

    def about(self, prediction: Lanes) -> dict[str, Any]:
        """Size of the image that pixels refer to, and its rows: first, last, how many."""
        (height, width), rows = prediction.size, prediction.rows
        about = {"size": [height, width], "rows": [float(rows[0]), float(rows[-1]), len(rows)]}
        return about | {"width": width, "height": height}

    def record(self, prediction: Lanes, index: int = 0) -> list[Any]:
        """[x, y] from the bottom up, lane by lane."""
        return [[[round(float(x), 2), round(float(y), 2)] for x, y in line] for line in prediction.polylines(index)]

    def restored(self, objects: list[Any], about: Mapping[str, Any]) -> Lanes:
        start, end, count = about["rows"]
        height, width = about["size"]
        lines = [np.asarray(line) for line in objects]
        return Lanes.from_polylines([lines], torch.linspace(start, end, count), (height, width))
