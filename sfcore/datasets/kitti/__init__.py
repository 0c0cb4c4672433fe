"""What KITTI's files say: calibrations, labelled objects, and boxes on the camera's image."""

from sfcore.datasets.kitti.calibration import Calibration, read_calibration
from sfcore.datasets.kitti.objects import CLASSES, Labelled, parse_objects, read_objects

__all__ = ["CLASSES", "Calibration", "Labelled", "parse_objects", "read_calibration", "read_objects"]
