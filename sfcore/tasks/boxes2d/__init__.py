"""Boxes in images: sets of boxes, their overlap, the Box Distortion Score, agreement, and how they are drawn."""

from sfcore.tasks.boxes2d.overlap import area, iou
from sfcore.tasks.boxes2d.task import BoxDetection
from sfcore.tasks.boxes2d.types import Boxes2d

__all__ = ["BoxDetection", "Boxes2d", "area", "iou"]
