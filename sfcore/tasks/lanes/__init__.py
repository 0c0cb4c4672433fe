"""Lanes: lane sets, their pairing, the Lane Distortion Score and agreement."""

from sfcore.tasks.lanes.distortion import Distortion, DistortionSettings, distortion
from sfcore.tasks.lanes.pairing import LANE_WIDTH, half_widths, iou, lane_width, pair
from sfcore.tasks.lanes.types import Lanes, Polyline, cat

__all__ = [
    "LANE_WIDTH", "Distortion", "DistortionSettings", "Lanes", "Polyline", "cat", "distortion", "half_widths", "iou",
    "lane_width", "pair",
]  # fmt: skip
