"""The task of object detection in point clouds: standing boxes, how far they moved, boxes over the bird's-eye view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfcore.drawing import Image, Line
from sfcore.tasks import box_drawing
from sfcore.tasks.base import Words, register
from sfcore.tasks.box_task import BoxTask
from sfcore.tasks.boxes3d.drawing import on_canvas, outline
from sfcore.tasks.boxes3d.geometry import bev_iou, corners
from sfcore.tasks.boxes3d.promises import PROMISES
from sfcore.tasks.boxes3d.types import Boxes3d

DECIMETRES = 10.0  # in a metre


@register
class BoxDetection3d(BoxTask[Boxes3d]):
    """Boxes in point clouds; lengths are in decimetres.

    A box without a partner counts 20 dm: as a car does that is moved sideways by its own width, just as a lost lane
    counts as one moved by its own.
    """

    name = "boxes3d"
    huber_delta = 5.0
    penalty = 20.0
    promises = PROMISES
    words = Words(
        singular="box",
        plural="boxes",
        score="Box Distortion Score",
        unit="dm",
        scene="sweep",
        explanation="How far the boxes have moved, in decimetres, summed over the boxes. Shift: the centre of a box "
        "moved. Stretch: its size or heading changed, by the mean distance that its corners move by it. Each is "
        "20 dm at most. Misalignment: boxes that only one of the two sets has, 20 dm each.",
        agreement="F1 with the full-precision boxes in place of labels, of the same class and at an IoU of 0.5 seen "
        "from above; 1 is the same boxes.",
        distortion="Mean Box Distortion Score per sweep, against the full-precision boxes.",
        shift="Mean distance of the boxes' centres from the full-precision ones, in space.",
        lost="misalignment",
        title="Boxes in point clouds",
        elsewhere="other places and scanners",
    )

    def overlap(self, reference: Boxes3d, other: Boxes3d) -> Tensor:
        """As seen from above."""
        return bev_iou(reference.box, other.box)

    def displacement(self, reference: Boxes3d, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of the centres, and the mean distance of the eight corners where the centres coincide.

        Corners go by their names: of a box that looks the other way the front left one has moved to the rear right.
        That far a box of a wrong heading is from right, but it never counts more than one that is lost.
        """
        shift = torch.linalg.vector_norm(after[..., :3] - before[..., :3], dim=-1)
        apart = _about_centre(after) - _about_centre(before)
        stretch = torch.linalg.vector_norm(apart, dim=-1).mean(-1)
        return shift * DECIMETRES, stretch * DECIMETRES

    def outlines(self, image: Image, prediction: Boxes3d) -> list[Line]:
        return [on_canvas(outline(each[:7]), prediction.extent, image) for each in prediction.objects(0)]

    def draw_labels(self, image: Image, objects: Sequence[np.ndarray], like: Boxes3d) -> Image:
        return box_drawing.draw_labels(image, [on_canvas(outline(each), like.extent, image) for each in objects])

    def rank(self, boxes: np.ndarray) -> np.ndarray:
        """From near to far."""
        return np.hypot(boxes[:, 0], boxes[:, 1])

    def about(self, prediction: Boxes3d) -> dict[str, Any]:
        """The ground that is shown, and the names of the classes."""
        return {"extent": list(prediction.extent), "names": list(prediction.names)}

    def record(self, prediction: Boxes3d, index: int = 0) -> list[Any]:
        """{"score", "label": its class, "center": [x, y, z], "size": [l, w, h], "yaw"} of each box: m and rad."""
        labelled = zip(prediction.objects(index), prediction.labels(index), strict=True)
        return [
            {
                "score": round(float(each[-1]), 4),
                "label": label,
                "center": [round(float(value), 3) for value in each[:3]],
                "size": [round(float(value), 3) for value in each[3:6]],
                "yaw": round(float(each[6]), 4),
            }
            for each, label in labelled
        ]

    def restored(self, objects: list[Any], about: Mapping[str, Any]) -> Boxes3d:
        names, (x_min, y_min, x_max, y_max) = tuple(about["names"]), about["extent"]
        rows = [
            np.array([*each["center"], *each["size"], each["yaw"], names.index(each["label"]), each["score"]], float)
            for each in objects
        ]
        return Boxes3d.from_objects([rows], names, (x_min, y_min, x_max, y_max))


def _about_centre(box: Tensor) -> Tensor:
    """(..., 8, 3) corners about the centre of each box."""
    return corners(torch.cat([torch.zeros_like(box[..., :3]), box[..., 3:]], -1))
