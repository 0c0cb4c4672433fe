"""The published post-process of LSTR, from a clone of https://github.com/voldemortX/pytorch-auto-drive."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch

from sfcore.detectors.base import Outputs
from sfcore.detectors.lstr import LSTR

PACKAGES = ("utils", "utils.models", "utils.models.lane_detection", "utils.models.transformer")


def published(repo: Path, detector: LSTR) -> Callable[[Outputs, int], object]:
    """What decodes image i of the outputs as the published test does: lanes as lists of points."""
    for name in PACKAGES:  # as bare packages: their own imports need torchvision and mmcv, the post-process does not
        package = ModuleType(name)
        package.__path__ = [str(repo / name.replace(".", "/"))]
        sys.modules[name] = package
    for build in ("build_transformer", "build_position_encoding"):  # named where imported, called by networks alone
        setattr(sys.modules["utils.models.transformer"], build, None)
    network = importlib.import_module("utils.models.lane_detection.lstr").LSTR
    settings = SimpleNamespace(
        thresh=detector.threshold, coefficients_to_coordinates=network.coefficients_to_coordinates
    )
    sizes = (detector.preprocessing.size, detector.frame)

    def decode(outputs: Outputs, image: int) -> object:
        one = {name: value[image : image + 1] for name, value in outputs.items()}
        shared = one["shared"].unsqueeze(1).expand(-1, one["own"].shape[1], -1)
        given = {"logits": one["logits"], "curves": torch.cat([one["extent"], shared, one["own"]], -1)}
        return network.inference(settings, given, sizes, 20, 18, "culane", detector.lanes, forward=False)

    return decode
