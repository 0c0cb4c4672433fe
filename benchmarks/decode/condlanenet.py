"""The published post-process of CondLaneNet, from a clone of https://github.com/aliyun/conditional-lane-detection."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Outputs
from sfcore.detectors.condlanenet import BIAS, STRIDE, CondLaneNet

PACKAGES = ("mmdet", "mmdet.models", "mmdet.models.dense_heads", "tools", "tools.condlanenet")


class Given(nn.Module):
    """A layer that says what it was told to, whatever it reads."""

    answer: Any

    def forward(self, _: Tensor) -> Any:
        return self.answer


def _stub(name: str, **content: Any) -> None:
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__dict__.update(content)


def _modules(repo: Path) -> tuple[ModuleType, ModuleType]:
    """The published head and post-process; of mmcv and mmdet only what their imports name."""
    for name in PACKAGES:
        _stub(name, __path__=[str(repo / name.replace(".", "/"))])
    _stub("mmcv")
    _stub("mmcv.cnn", ConvModule=lambda *sizes, **settings: nn.Identity())
    _stub("mmdet.models.builder", HEADS=SimpleNamespace(register_module=lambda head: head))
    head = importlib.import_module("mmdet.models.dense_heads.condlanenet_head")
    process: Any = importlib.import_module("tools.condlanenet.post_process")
    places = process.compute_locations
    process.compute_locations = lambda shape, device: places(shape, "cpu")  # published: always on a GPU
    return head, process


def published(repo: Path, detector: CondLaneNet) -> Callable[[Outputs, int], Any]:
    """What decodes image i of the outputs as the published test does: peaks, dynamic convolutions, lanes.

    Lanes are dictionaries with ``points``, (N, 2) x, y in pixels of the network's input. Whether a lane exists in
    a row is taken from the outputs; the published code computes it after picking peaks.
    """
    module, process = _modules(repo)
    height, width = detector.bbox_head.cells
    channels = len(detector.head("features").channels)
    sizes = dict.fromkeys(("head_channels", "branch_in_channels", "branch_channels", "branch_out_channels"), channels)
    places = {"size": (1, 1, height, width), "device": "cpu"}
    head = module.CondLaneHead({"hm": 1}, (channels,), 1, hm_idx=1, location_configs=places, **sizes)
    head.ctnet_head, head.mask_branch, head.mlp = Given(), Given(), nn.Identity()
    finish = process.CondLanePostProcessor((1, height, width), nms_thr=detector.picking.near)

    @torch.no_grad()
    def decode(outputs: Outputs, image: int) -> Any:
        one = {name: value[image : image + 1] for name, value in outputs.items()}
        shift = one["shift"] - BIAS
        params = torch.cat([one["location"], torch.zeros_like(shift), one["offset"], shift], 1)
        head.ctnet_head.answer = {"hm": one["hm"], "params": params}
        head.mask_branch.answer = one["features"]
        seeds, _ = head.forward_test([one["features"], one["hm"]], hm_thr=detector.picking.heat)
        for seed in seeds:
            x, y = seed["coord"]
            present = one["range"][:, :, y, x]
            seed["range"] = torch.stack([torch.zeros_like(present), present], 1)
        return finish(seeds, STRIDE)[0]

    return decode
