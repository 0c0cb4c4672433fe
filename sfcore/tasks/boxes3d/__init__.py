"""Boxes in point clouds: sets of boxes, their overlap, distortion, agreement, and how they are drawn from above."""

from sfcore.tasks.boxes3d.geometry import bev_iou, corners, ground_corners, iou_3d, nms
from sfcore.tasks.boxes3d.task import BoxDetection3d
from sfcore.tasks.boxes3d.types import Boxes3d

__all__ = ["BoxDetection3d", "Boxes3d", "bev_iou", "corners", "ground_corners", "iou_3d", "nms"]
