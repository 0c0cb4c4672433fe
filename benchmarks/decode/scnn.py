"""The published post-process of SCNN and RESA, from a clone of https://github.com/voldemortX/pytorch-auto-drive."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2

from sfcore.detectors.base import Outputs
from sfcore.detectors.segmentation import Segmentation

PACKAGES = ("utils", "utils.models", "utils.models.lane_detection")


def published(repo: Path, detector: Segmentation) -> Callable[[Outputs, int], object]:
    """What decodes image i of the outputs as the published test does: lanes as lists of points.

    Its averaging box is always 9 pixels wide, so the lanes of a detector with another box differ a little.
    """
    for name in PACKAGES:  # as bare packages: their own imports need torchvision and mmcv, the post-process does not
        package = ModuleType(name)
        package.__path__ = [str(repo / name.replace(".", "/"))]
        sys.modules[name] = package
    inference = importlib.import_module("utils.lane_det_utils").lane_as_segmentation_inference
    cv2.setNumThreads(1)
    chosen, (height, width) = detector.sampling, detector.frame
    sizes = (detector.preprocessing.size, (height - round(detector.preprocessing.top * height), width))

    def decode(outputs: Outputs, image: int) -> object:
        maps, exists = (outputs[name][image : image + 1] for name in ("segmentation", "existence"))
        given = {"out": maps, "lane": exists}
        slots = exists.shape[1]
        return inference(
            None, given, sizes, chosen.gap, chosen.points, chosen.threshold, "culane", slots, forward=False
        )

    return decode
