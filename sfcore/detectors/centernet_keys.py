"""Names of the authors' PoseResNet (xingyizhou/CenterNet) in MMDetection's terms."""

from __future__ import annotations

import re

from torch import Tensor

_BACKBONE = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
_HEADS = {"hm": "heatmap_head", "wh": "wh_head", "reg": "offset_head"}
_UP = re.compile(r"deconv_layers\.(\d+)\.(.+)")
_PARTS = ("conv", "bn")  # and a ReLU, of each transposed convolution


def from_pose_resnet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state under MMDetection's names; those under other names as they are."""
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    if name.startswith(_BACKBONE):
        return f"backbone.{name}"
    if found := _UP.fullmatch(name):
        layer, part = divmod(int(found[1]), 3)
        return f"neck.deconv_layers.{layer}.{_PARTS[part]}.{found[2]}" if part < 2 else name
    head, dot, rest = name.partition(".")
    return f"bbox_head.{_HEADS[head]}.{rest}" if dot and head in _HEADS else name
