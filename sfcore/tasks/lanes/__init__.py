"""Lanes: lane sets, their pairing, the Lane Distortion Score, agreement, and how they are drawn."""

from sfcore.tasks.lanes.agreement import agreement
from sfcore.tasks.lanes.distortion import DistortionSettings, LaneDistortion, distortion
from sfcore.tasks.lanes.pairing import LANE_WIDTH, half_widths, iou, lane_width
from sfcore.tasks.lanes.task import LaneDetection
from sfcore.tasks.lanes.types import Lanes, Polyline, cat, sampled
from sfcore.tasks.pairing import pair

__all__ = [
    "LANE_WIDTH", "DistortionSettings", "LaneDetection", "LaneDistortion", "Lanes", "Polyline", "agreement", "cat",
    "distortion", "half_widths", "iou", "lane_width", "pair", "sampled",
]  # fmt: skip
