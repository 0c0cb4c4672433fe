"""The tensors of published CenterPoint-Pillar checkpoints under the names, and in the units, of this project.

Two codes publish the network: the author's (https://github.com/tianweiy/CenterPoint) and OpenPCDet's
(https://github.com/open-mmlab/OpenPCDet). All of it is linear in the weights of a first or a last layer:

- Both read five numbers of a point, the fifth the elongation of a Waymo return or the age of a nuScenes point; a frame
  here has four, and the fifth of a single sweep is zero: its column goes.
- The author's has no height above the pillar's centre: its column is zero.
- The author's sizes are width, length, height, and its angle is θ = -π/2 - yaw, so that sin yaw = -cos θ and
  cos yaw = -sin θ. OpenPCDet's rotation has the cosine first.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

OWN_HEADS = {"center": "reg", "center_z": "height"}  # as OpenPCDet calls them
RAW = 4  # numbers of a point


def own_state(state: dict[str, Tensor], units: Tensor, light: float) -> dict[str, Tensor]:
    """A published checkpoint's tensors; what is none is left as it is.

    Args:
        units: (10,) of the numbers of a point, in metres.
        light: what the published code takes for a reflectance of 1.
    """
    if "reader.pfn_layers.0.linear.weight" in state:
        own = {_author(key): _turned(key, value) for key, value in state.items()}
    elif "vfe.pfn_layers.0.linear.weight" in state:
        own = {key: value for name, given in state.items() for key, value in _openpcdet(name, given).items()}
    else:
        return state
    metres = units.clone()
    metres[RAW - 1] *= light
    first = "reader.pfn_layers.0.conv.weight"
    return own | {first: _columns(own[first]) * metres.reshape(1, -1, 1, 1).to(own[first])}


def _columns(weight: Tensor) -> Tensor:
    """(C, 10 or 11, 1, 1) without the fifth number of a point, and with the height above the pillar's centre."""
    kept = torch.cat([weight[:, :RAW], weight[:, RAW + 1 :]], 1)
    return torch.cat([kept, kept.new_zeros(len(kept), 10 - kept.shape[1], 1, 1)], 1)


def _author(key: str) -> str:
    return re.sub(r"^(reader\.pfn_layers\.\d+)\.linear\.", r"\1.conv.", key)


def _turned(key: str, value: Tensor) -> Tensor:
    """The author's tensor as this network has it."""
    if ".linear." in key:
        return value[..., None, None]
    if re.search(r"\.dim\.3\.", key):
        return value[[1, 0, 2]]
    if re.search(r"\.rot\.3\.", key):
        return -value[[1, 0]]
    return value


def _openpcdet(key: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor of OpenPCDet's under its own name here; none of what only its training has."""
    if found := re.match(r"vfe\.(pfn_layers\.\d+)\.(linear|norm)\.(.+)", key):
        layer, kind, rest = found.groups()
        value = value[..., None, None] if kind == "linear" else value
        return {f"reader.{layer}.{'conv' if kind == 'linear' else 'norm'}.{rest}": value}
    if found := re.match(r"backbone_2d\.(blocks|deblocks)\.(\d+)\.(.+)", key):
        # Where nothing is enlarged, it has transposed convolutions of size 1.
        small = found[1] == "deblocks" and value.ndim == 4 and value.shape[-1] == 1
        return {f"neck.{found[1]}.{found[2]}.{found[3]}": value.transpose(0, 1) if small else value}
    if found := re.match(r"dense_head\.heads_list\.(\d+)\.(\w+)\.(.+)", key):
        task, head, rest = found.groups()
        rest = {"0.0": "0", "0.1": "1", "1": "3"}[place := rest.rpartition(".")[0]] + rest[len(place) :]
        value = value[[1, 0]] if head == "rot" and place == "1" else value
        return {f"bbox_head.tasks.{task}.{OWN_HEADS.get(head, head)}.{rest}": value}
    if key.startswith("dense_head.shared_conv."):
        return {"bbox_head." + key.partition(".")[2]: value}
    return {} if key == "global_step" else {key: value}
