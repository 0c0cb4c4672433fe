"""GANet: lanes as keypoints that point at their lane's start (Wang et al., CVPR 2022), published key names.

A heat map says where lanes are, one point a row of cells. Each point knows how far it lies from its cell
(``error``) and how far its lane's start lies from its cell (``offset``); points that agree on the start are a lane.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.ganet_decode import Grouping, cell_grid, find_keypoints, sample_rows, tracks
from sfcore.detectors.ganet_neck import DeformFPN
from sfcore.detectors.heat_maps import heat_map, peaks, row_peaks
from sfcore.detectors.layers import ResNet
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.tasks.lanes.rows import off_image_to_nan

SOURCE = "https://github.com/Wolfwjs/GANet (Wang et al., CVPR 2022)"
STRIDE = 8  # pixels of the input per cell
POINT_RADIUS, START_RADIUS = 2, 4  # cells, of the Gaussians around keypoints and starts that heat maps are taught
FAINT = 0.05  # keypoints less confident than this are no road points


class Branch(nn.Module):
    """Two convolutions of one head, under the name that the published code gives its output."""

    def __init__(self, name: str, inputs: int, outputs: int, bias: float = 0.0) -> None:
        super().__init__()
        last = nn.Conv2d(inputs, outputs, 1)
        nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
        self.name = name
        self.add_module(name, nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), last))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.name)(x)


class Heads(nn.Module):
    """The four heads; heat maps start near sigmoid(-2.19) = 0.1, as few cells are keypoints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.centerpts_head = Branch("hm", width, 1, -2.19)
        self.keypts_head = Branch("hm", width, 1, -2.19)
        self.offset_head = Branch("offset_map", width, 2)
        self.reg_head = Branch("offset_map", width, 2)

    def forward(self, heat_features: Tensor, offset_features: Tensor) -> Outputs:
        return {
            "cpts": self.centerpts_head(heat_features),
            "kpts": self.keypts_head(heat_features),
            "offset": self.offset_head(offset_features),
            "error": self.reg_head(offset_features),
        }


class GANet(Detector):
    """GANet with a ResNet of basic blocks.

    Args:
        blocks, widths: of the ResNet's stages.
        width: channels of the pyramid and the heads.
        hidden: channels of the lane-aware sampling.
        points: points sampled for a cell, level by level.
        preprocessing: sets the input size, which the position embeddings depend on.
        frame: (height, width) of the image that lanes refer to.
        grouping: how keypoints become lanes.
    """

    heads = (
        Head("cpts", "confidence", ("start",), ("logit",), "cpts", "grid", STRIDE,
             "Where lanes start. Learned beside the others; the published decode does not read it.", decoded=False),
        Head("kpts", "confidence", ("keypoint",), ("logit",), "kpts", "grid", STRIDE,
             "Where lanes are: one keypoint a lane in each row of cells."),
        Head("offset", "semantics", ("x", "y"), ("cell", "cell"), "kpts", "grid", STRIDE,
             "From each keypoint's cell to the start point of its lane."),
        Head("error", "semantics", ("x", "y"), ("cell", "cell"), "kpts", "grid", STRIDE,
             "From each keypoint's cell to its exact place: what the coarse grid rounds off."),
    )  # fmt: skip

    cell: Tensor
    corner: Tensor

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        width: int,
        hidden: int,
        points: tuple[int, ...],
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        grouping: Grouping,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.grouping = preprocessing, frame, grouping
        cells = (-(-preprocessing.size[0] // 32), -(-preprocessing.size[1] // 32))  # every stride-2 layer rounds up
        self.backbone = ResNet(blocks, widths)
        self.neck = DeformFPN(widths[1:], width, hidden, points, cells)
        self.bbox_head = Heads(width)
        top = round(preprocessing.top * frame[0])
        self.register_buffer("rows", even_rows(frame[0], 4.0, start=top), persistent=False)
        scale = torch.tensor([frame[1] / preprocessing.size[1], (frame[0] - top) / preprocessing.size[0]])
        self.register_buffer("cell", STRIDE * scale, persistent=False)  # (2,) width and height in frame pixels
        self.register_buffer("corner", torch.tensor([0.0, float(top)]), persistent=False)

    def forward(self, images: Tensor) -> Outputs:
        """Outputs at stride 8: cpts, kpts (B, 1, h, w) logits; offset, error (B, 2, h, w) as x, y in cells."""
        return self.bbox_head(*self.neck(self.backbone(images)[1:]))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[self.head(head).confidence].sigmoid()

    def decode(self, outputs: Outputs) -> Lanes:
        line, score = tracks(find_keypoints(outputs, self.grouping), self.grouping)
        line = line * self.cell[:, None] + self.corner[:, None]
        x = sample_rows(line[:, :, 0], line[:, :, 1], self.rows)
        return off_image_to_nan(Lanes(x, score, self.rows, self.frame))

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        points, starts = (outputs[name].sigmoid() for name in ("kpts", "cpts"))
        return {
            "cpts": heat_map(peaks(starts, least).to(starts), START_RADIUS),
            "kpts": heat_map(row_peaks(points, least).to(points), POINT_RADIUS),
        }

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of every cell, x and y of its keypoint and x and y of the start point that it points at."""
        cells = cell_grid(outputs["kpts"])
        unit = self.frame[1] / REFERENCE_WIDTH
        scale, corner = self.cell[:, None, None], self.corner[:, None, None]
        places = torch.cat([(cells + outputs[head]) * scale + corner for head in ("error", "offset")], 1) / unit
        heat = outputs["kpts"].detach().sigmoid()
        weight = torch.where(heat > FAINT, heat, torch.zeros_like(heat)).expand_as(places)
        return RoadPoints(places.flatten(1), weight.flatten(1))


def _published(blocks: tuple[int, ...]) -> GANet:
    """The CULane models: 1640×590 frames without their upper 270 rows, at 800×320; statistics of BGR images."""
    mean, std = (75.3 / 255, 76.6 / 255, 77.6 / 255), (50.5 / 255, 53.8 / 255, 54.3 / 255)
    preprocessing = Preprocessing((320, 800), mean, std, "bgr", top=270 / 590)
    grouping = Grouping(keypoint=0.4, near=5.0, points=10)
    return GANet(blocks, (64, 128, 256, 512), 64, 256, (7, 5, 3), preprocessing, (590, 1640), grouping)


@register("ganet-small", source=SOURCE)
def ganet_small() -> GANet:
    """GANet-S for CULane: ResNet-18."""
    return _published((2, 2, 2, 2))


@register("ganet-mid", source=SOURCE)
def ganet_mid() -> GANet:
    """GANet-M for CULane: ResNet-34."""
    return _published((3, 4, 6, 3))


@register("ganet-tiny", weights="ganet-tiny.safetensors", source=SOURCE)
def ganet_tiny() -> GANet:
    """The same architecture, narrow, trained on the project's rendered scenes."""
    preprocessing = Preprocessing((256, 384), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    grouping = Grouping(keypoint=0.5, near=2.0, points=3)
    return GANet((1, 2, 2, 2), (16, 32, 64, 96), 32, 32, (7,), preprocessing, (360, 640), grouping)
