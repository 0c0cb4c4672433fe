"""CenterPoint-Pillar: boxes in point clouds as the peaks of a heat map over the ground (Yin et al., CVPR 2021).

Points become pillars (:mod:`sfcore.detectors.pillars`), a map over the ground that ordinary convolutions read. In each
cell five heads say whether the centre of a box lies there and of which class it is, and what box it would be. The
published networks have their published key names; sizes and angles of the heads are those of this project: see
:mod:`sfcore.detectors.centerpoint_keys`.

Where the published network has a set of heads for each group of classes, their outputs are concatenated, group by
group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Outputs, RoadPoints
from sfcore.detectors.centerpoint_decode import Grid, Picking, cell_boxes, pick, taught
from sfcore.detectors.centerpoint_keys import own_state
from sfcore.detectors.centerpoint_network import RPN, CenterHead, Stages
from sfcore.detectors.pillars import HardPillars, Pillars
from sfcore.detectors.registry import register
from sfcore.devices import constant
from sfcore.inputs.points import PointCloud
from sfcore.tasks.boxes3d.types import Boxes3d

SOURCE = "https://github.com/tianweiy/CenterPoint (Yin et al., CVPR 2021)"
FAINT = 0.05  # cells less confident than this make no points
POSITIVES = 500  # most boxes of a frame that teach, K of LiDAR-PTQ
DECIMETRES = 10.0  # in a metre
SIDES = ((1, 1), (-1, 1), (-1, -1), (1, -1))  # corners of the ground in halves of length and width, as the task's

CHANNELS = {  # of each group's heads: names, units, sentence
    "reg": (("x", "y"), ("cell",) * 2, "Where in its cell the centre of a box lies."),
    "height": (("z",), ("m",), "Height of the box's centre, from the sensor."),
    "dim": (("length", "width", "height"), ("log m",) * 3, "Size of the box, as logarithms."),
    "rot": (("sin", "cos"), ("–",) * 2, "Sine and cosine of the box's yaw."),
    "vel": (("vx", "vy"), ("m/s",) * 2, "Velocity; no part of a decoded box."),
}


def _heads(classes: Sequence[Sequence[str]], regressions: Sequence[str], stride: int) -> tuple[Head, ...]:
    names = tuple(name for group in classes for name in group)

    def channel(name: str, group: Sequence[str]) -> str:
        return name if len(classes) == 1 else f"{name} ({', '.join(group)})"

    heads = [
        Head("hm", "confidence", names, ("logit",) * len(names), "hm", "grid", stride,
             "Whether the centre of a box of each class lies in the cell."),
    ]  # fmt: skip
    for name in regressions:
        own, units, sentence = CHANNELS[name]
        channels = tuple(channel(each, group) for group in classes for each in own)
        heads.append(Head(name, "semantics", channels, units * len(classes), "hm", "grid", stride, sentence))
    return tuple(heads)


class CenterPoint(Detector):
    """CenterPoint on pillars.

    Args:
        cloud: range and pillars.
        pillars: what makes a map of points.
        width: channels of that map.
        stages: of the neck.
        classes: names of the classes, group by group; a group has regressions and suppression of its own.
        regressions: names of the heads beside the heat map.
        shared, between: channels after the shared convolution of the heads, and within each head.
        picking: how cells become boxes.
        light: what the published code takes for a reflectance of 1.
    """

    task_name = "boxes3d"
    preprocessing: PointCloud

    def __init__(
        self,
        cloud: PointCloud,
        pillars: Pillars,
        width: int,
        stages: Stages,
        classes: Sequence[Sequence[str]],
        regressions: tuple[str, ...],
        shared: int,
        between: int,
        picking: Picking,
        light: float = 1.0,
    ) -> None:
        super().__init__()
        self.preprocessing, self.picking, self.light = cloud, picking, light
        self.groups = tuple(len(group) for group in classes)
        self.names = tuple(name for group in classes for name in group)
        self.heads = _heads(classes, regressions, stages.stride)
        self.grid = Grid.of(cloud, stages.stride)
        self.reader = pillars
        self.neck = RPN(width, stages)
        channels = {name: len(CHANNELS[name][0]) for name in regressions}
        self.bbox_head = CenterHead(stages.outputs * len(stages.blocks), self.groups, channels, shared, between)

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return own_state(state, self.reader.units, self.light)

    def forward(self, points: Tensor) -> Outputs:
        """Of each cell, (B, C, h, w); C is that of a head times the groups of classes.

        hm logits of each class; reg (2) x, y in cells; height (1) z in metres; dim (3) logarithms of length, width and
        height in metres; rot (2) sine and cosine of the yaw.
        """
        return self.bbox_head(self.neck(self.reader(points)))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        """Of the heat map, itself; of a group's regressions in a cell, the largest of its classes there (ours: the
        papers are silent)."""
        heat = outputs["hm"].sigmoid()
        if head == "hm":
            return heat
        best = torch.stack([group.amax(1) for group in heat.split(self.groups, 1)], 1)
        return best.repeat_interleave(len(self.head(head).channels) // len(self.groups), 1)

    def decode(self, outputs: Outputs) -> Boxes3d:
        found = pick(outputs, self.groups, self.grid, self.picking)
        return Boxes3d(found.box, found.score, found.label, self.names, self.preprocessing.extent).compact()

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        """Gaussians around the decoded boxes that are surer than ``least``, as labels are assigned (Zhou et al. 2024,
        section 3.3)."""
        settings = replace(self.picking, score=least, before=POSITIVES)
        found = pick(outputs, self.groups, self.grid, settings)
        return {"hm": taught(found.box, found.label, len(self.names), self.grid)[0]}

    def corners(self, outputs: Outputs) -> RoadPoints:
        """Of every cell the box's four corners on the ground, its bottom and its top: 10 numbers."""
        box = cell_boxes(outputs, self.grid)
        centre, height, size, heading = box.split([2, 1, 3, 2], -1)
        heading = heading / heading.square().sum(-1, keepdim=True).add(1e-6).sqrt()
        sin, cos = heading.unbind(-1)
        along, aside = (size[..., None, :2] / 2 * constant(SIDES, box.device, box.dtype)).unbind(-1)
        x = along * cos.unsqueeze(-1) - aside * sin.unsqueeze(-1)
        y = along * sin.unsqueeze(-1) + aside * cos.unsqueeze(-1)
        ground = (torch.stack([x, y], -1) + centre.unsqueeze(-2)).flatten(-2)
        ends = height + size[..., 2:] / 2 * constant((-1.0, 1.0), box.device, box.dtype)
        position = torch.cat([ground, ends], -1) * DECIMETRES
        weight = self.confidence(outputs, "height").detach()
        weight = weight.where(weight > FAINT, 0.0).unsqueeze(-1).expand_as(position)
        return RoadPoints(position.flatten(1), weight.flatten(1))


BOX = ("reg", "height", "dim", "rot")


@register("centerpoint-pillar-waymo", source=SOURCE)
def centerpoint_pillar_waymo() -> CenterPoint:
    """CenterPoint-Pillar for Waymo (``waymo_centerpoint_pp_two_pfn_stride1_3x``), without the second stage."""
    cloud = PointCloud((-74.88, -74.88, 74.88, 74.88), (-2.0, 4.0), 0.32, most=196_608)
    stages = Stages((3, 5, 5), (1, 2, 2), (64, 128, 256), (1, 2, 4), 128)
    classes = [("vehicle", "pedestrian", "cyclist")]
    picking = Picking(0.1, 4096, 500, 0.7, (80.0, 80.0, 10.0))
    return CenterPoint(cloud, HardPillars(cloud, (64, 64), 20), 64, stages, classes, BOX, 64, 64, picking)


@register("centerpoint-pillar-nuscenes", source=SOURCE)
def centerpoint_pillar_nuscenes() -> CenterPoint:
    """CenterPoint-Pillar for nuScenes (``nusc_centerpoint_pp_02voxel_two_pfn_10sweep``), given a single sweep."""
    cloud = PointCloud((-51.2, -51.2, 51.2, 51.2), (-5.0, 3.0), 0.2, most=65_536)
    stages = Stages((3, 5, 5), (2, 2, 2), (64, 128, 256), (0.5, 1, 2), 128)
    classes = [("car",), ("truck", "construction_vehicle"), ("bus", "trailer"), ("barrier",),
               ("motorcycle", "bicycle"), ("pedestrian", "traffic_cone")]  # fmt: skip
    picking = Picking(0.1, 1000, 83, 0.2, (61.2, 61.2, 10.0))
    pillars = HardPillars(cloud, (64, 64), 20)
    return CenterPoint(cloud, pillars, 64, stages, classes, (*BOX, "vel"), 64, 64, picking, light=255.0)


@register("centerpoint-pillar-tiny", weights="centerpoint-pillar-tiny.safetensors", source=SOURCE)
def centerpoint_pillar_tiny() -> CenterPoint:
    """The same architecture, narrow, with pillars of any number of points, trained on the project's rendered sweeps."""
    cloud = PointCloud((-40.96, -40.96, 40.96, 40.96), (-3.0, 2.2), 0.32, most=32_768)
    stages = Stages((1, 2, 3), (2, 2, 2), (32, 64, 96), (1, 2, 4), 32)
    classes = [("vehicle", "pedestrian", "cyclist")]
    picking = Picking(0.3, 500, 100, 0.2, (40.96, 40.96, 10.0))
    return CenterPoint(cloud, Pillars(cloud, (32,)), 32, stages, classes, BOX, 32, 24, picking)
