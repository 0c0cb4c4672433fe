"""The published post-process of BézierLaneNet, from a clone of https://github.com/voldemortX/pytorch-auto-drive."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from sfcore.detectors.base import Outputs
from sfcore.detectors.bezierlanenet import BezierLaneNet

PACKAGES = ("utils", "utils.models", "utils.models.lane_detection")


def published(repo: Path, detector: BezierLaneNet) -> Callable[[Outputs, int], object]:
    """What decodes image i of the outputs as the published test does: lanes as lists of points."""
    for name in PACKAGES:  # as bare packages: their own imports need torchvision and mmcv, the post-process does not
        package = ModuleType(name)
        package.__path__ = [str(repo / name.replace(".", "/"))]
        sys.modules[name] = package
    module = importlib.import_module("utils.models.lane_detection.bezier_base")
    chosen = detector.selection
    network = module.BezierBaseNet(chosen.threshold, chosen.window)
    sizes = (detector.preprocessing.size, detector.frame)

    def decode(outputs: Outputs, image: int) -> object:
        logits, curves = (outputs[name][image : image + 1] for name in ("logits", "curves"))
        given = {"logits": logits.squeeze(-1), "curves": curves.unflatten(-1, (4, 2))}
        return network.inference(given, sizes, 20, 18, "culane", chosen.lanes, forward=False)

    return decode
