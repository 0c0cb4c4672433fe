"""The task of object detection in images: upright boxes, how far they moved, boxes over the picture."""

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
from sfcore.tasks.boxes2d.overlap import iou
from sfcore.tasks.boxes2d.promises import PROMISES
from sfcore.tasks.boxes2d.types import Boxes2d

REFERENCE_WIDTH = 640  # the image width at which pixels are counted


@register
class BoxDetection(BoxTask[Boxes2d]):
    """Boxes in images; lengths are in pixels at 640 px image width."""

    name = "boxes2d"
    huber_delta = 4.0
    penalty = 30 / 1640 * REFERENCE_WIDTH  # 11.7 px: what a lane of half the image's height counts as where it is lost
    promises = PROMISES
    words = Words(
        singular="box",
        plural="boxes",
        score="Box Distortion Score",
        unit="px",
        scene="scene",
        explanation="How far the boxes have moved, in pixels at 640 px image width, summed over the boxes. Shift: the "
        "centre of a box moved. Stretch: its size changed, by the distance that a corner moves by it. Each is "
        "11.7 px at most. Misalignment: boxes that only one of the two sets has, 11.7 px each.",
        agreement="F1 with the full-precision boxes in place of labels, of the same class and at IoU 0.5; 1 is the "
        "same boxes.",
        distortion="Mean Box Distortion Score per image, against the full-precision boxes.",
        shift="Mean distance of the boxes' centres from the full-precision ones, at 640 px image width.",
        lost="misalignment",
        title="Boxes in images",
        elsewhere="other scenes and cameras",
    )

    def overlap(self, reference: Boxes2d, other: Boxes2d) -> Tensor:
        if reference.size != other.size:
            raise ValueError(f"boxes in images of {reference.size} and {other.size} lie apart: resize one first")
        return iou(reference.box, other.box)

    def displacement(self, reference: Boxes2d, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Distance of the centres, and of a corner where the centres coincide.

        With c the displacement of the centre and h that of half the size, opposite corners move by c - h and c + h:
        the mean of their squared displacements is |c|² + |h|², shift² + stretch².
        """
        moved = (after - before) * (REFERENCE_WIDTH / reference.size[1])
        centre, half = (moved[..., 2:] + moved[..., :2]) / 2, (moved[..., 2:] - moved[..., :2]) / 2
        return torch.linalg.vector_norm(centre, dim=-1), torch.linalg.vector_norm(half, dim=-1)

    def outlines(self, image: Image, prediction: Boxes2d) -> list[Line]:
        return [around(each[:4]) for each in prediction.resized(image.shape[:2]).objects(0)]

    def rank(self, boxes: np.ndarray) -> np.ndarray:
        """From left to right."""
        return boxes[:, 0] + boxes[:, 2]

    def draw_labels(self, image: Image, objects: Sequence[np.ndarray], like: Boxes2d) -> Image:
        scale = np.array([image.shape[1] / like.size[1], image.shape[0] / like.size[0]] * 2)
        return box_drawing.draw_labels(image, [around(np.asarray(each)[:4] * scale) for each in objects])

    def about(self, prediction: Boxes2d) -> dict[str, Any]:
        """Size of the image that pixels refer to, and the names of the classes."""
        height, width = prediction.size
        names = list(prediction.names)
        return {"size": [height, width], "width": width, "height": height, "names": names}

    def record(self, prediction: Boxes2d, index: int = 0) -> list[Any]:
        """{"score", "label": its class, "box": [left, top, right, bottom]} of each box."""
        labelled = zip(prediction.objects(index), prediction.labels(index), strict=True)
        return [
            {"score": round(float(each[-1]), 4), "label": label, "box": [round(float(side), 2) for side in each[:4]]}
            for each, label in labelled
        ]

    def restored(self, objects: list[Any], about: Mapping[str, Any]) -> Boxes2d:
        names, (height, width) = tuple(about["names"]), about["size"]
        rows = [np.array([*each["box"], names.index(each["label"]), each["score"]], np.float64) for each in objects]
        return Boxes2d.from_objects([rows], names, (height, width))


def around(box: np.ndarray) -> Line:
    """(5, 2) the line around left, top, right, bottom."""
    left, top, right, bottom = box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], np.float64)
