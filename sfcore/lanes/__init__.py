"""Geometry: the Lanes batch type, polylines, IoU, pairing."""

from sfcore.lanes.matching import LANE_WIDTH, half_widths, iou, lane_width, pair
from sfcore.lanes.types import Lanes, Polyline, cat

__all__ = ["LANE_WIDTH", "Lanes", "Polyline", "cat", "half_widths", "iou", "lane_width", "pair"]
