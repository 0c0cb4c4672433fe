"""The published post-process of GANet, from a clone of https://github.com/Wolfwjs/GANet."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from sfcore.detectors.base import Outputs
from sfcore.detectors.ganet import STRIDE, GANet

PACKAGES = ("mmdet", "mmdet.models", "mmdet.models.dense_heads", "tools", "tools.ganet")


def _stub(name: str, **content: Any) -> None:
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__dict__.update(content)


def _modules(repo: Path) -> tuple[ModuleType, ModuleType]:
    """The published head and post-process; of mmcv and mmdet only what their imports name."""
    for name in PACKAGES:
        _stub(name, __path__=[str(repo / name.replace(".", "/"))])
    _stub("mmcv", Timer=None)
    _stub("mmdet.models.builder", HEADS=SimpleNamespace(register_module=lambda *_: lambda head: head))
    _stub("mmdet.models.dense_heads.ctnet_head", CtnetHead=torch.nn.Identity)
    head: Any = importlib.import_module("mmdet.models.dense_heads.ganet_head")
    places = head.make_coordmat
    head.make_coordmat = lambda shape, device=None: places(shape, torch.device("cpu"))  # published: always on a GPU
    return head, importlib.import_module("tools.ganet.post_process")


def published(repo: Path, detector: GANet) -> Callable[[Outputs, int], Any]:
    """What decodes image i of the outputs as the published test does: keypoints, groups, lanes.

    Lanes are lists of x, y in pixels of the network's input, keypoint by keypoint.
    """
    module, process = _modules(repo)
    head, settings = module.GANetHeadFast({}, 1, 1), detector.grouping
    group = process.PostProcessor(cluster_by_center_thr=settings.near, group_fast=True)

    def decode(outputs: Outputs, image: int) -> Any:
        one = {name: value[image : image + 1] for name, value in outputs.items()}
        heat = torch.clamp(one["kpts"].sigmoid(), min=1e-4, max=1 - 1e-4)
        seeds = head.ktdet_decode_fast(heat, one["offset"], one["error"], settings.keypoint, settings.start)
        lanes, _ = group(seeds, STRIDE)
        return [lane["points"] for lane in lanes if len(lane["points"]) > settings.points]

    return decode
