"""CenterNet: objects as points (Zhou et al. 2019), with a ResNet that three transposed convolutions bring to stride 4.

A heat map for each class peaks where objects have their centres. A peak's cell says how wide and high the object is and
how far its centre lies from the cell: that is the box. Neighbours are suppressed in the heat map, boxes never.

Two codes publish networks of this form. Theirs differ in the neck: MMDetection has a 3×3 convolution before each
transposed one, of 256, 128 and 64 channels; the authors' PoseResNet has transposed ones alone, of 256 each. Frames are
resized to the input, as they are everywhere in this project; the published ones pad them to keep their aspect.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from sfcore.datasets.scenes import NAMES
from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.centernet_keys import from_pose_resnet
from sfcore.detectors.centre_boxes import Picking, cell_indices, centres, corner_points, sides, surest
from sfcore.detectors.coco_names import COCO
from sfcore.detectors.heat_maps import first_gaussian_radius, gaussian_radius, spread
from sfcore.detectors.layers import ResNet
from sfcore.detectors.registry import register
from sfcore.tasks.boxes2d import Boxes2d

SOURCE = "https://github.com/open-mmlab/mmdetection, configs/centernet (Zhou et al. 2019)"
POSE_SOURCE = "https://github.com/xingyizhou/CenterNet (Zhou et al. 2019)"
STRIDE = 4  # pixels of the input per cell


def block(conv: nn.Module, width: int) -> nn.Sequential:
    """A convolution without bias, batch norm and ReLU, under MMDetection's names."""
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(width), activate=nn.ReLU()))


@torch.no_grad()
def interpolate(up: nn.ConvTranspose2d) -> None:
    """Let a transposed convolution begin as random mixtures of bilinearly interpolated channels."""
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])  # of a kernel of 4 and a stride of 2
    mixing = torch.randn(up.in_channels, up.out_channels) * (2 / up.in_channels) ** 0.5
    up.weight.copy_(mixing[:, :, None, None] * line[:, None] * line)


class Neck(nn.Module):
    """Three transposed convolutions that bring features from stride 32 to stride 4.

    Args:
        inputs: channels of the features.
        widths: channels after each.
        mixed: whether a 3×3 convolution comes before each, which changes the number of channels.
    """

    def __init__(self, inputs: int, widths: tuple[int, int, int], mixed: bool) -> None:
        super().__init__()
        layers = []
        for width in widths:
            if mixed:
                layers.append(block(nn.Conv2d(inputs, width, 3, padding=1, bias=False), width))
            up = nn.ConvTranspose2d(width if mixed else inputs, width, 4, 2, 1, bias=False)
            layers.append(block(up, width))
            inputs = width
        self.deconv_layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                interpolate(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv_layers(x)


class Heads(nn.Module):
    """The three heads; heat maps start near sigmoid(-2.19) = 0.1, as few cells are centres."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.heatmap_head, self.wh_head, self.offset_head = (
            nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, outputs, 1))
            for outputs in (classes, 2, 2)
        )
        nn.init.constant_(self.heatmap_head[2].bias, -2.19)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Outputs:
        return {"hm": self.heatmap_head(x), "wh": self.wh_head(x), "reg": self.offset_head(x)}


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes:
        blocks, widths: of the ResNet's stages.
        neck: channels after each transposed convolution.
        mixed: see :class:`Neck`.
        head: channels within the heads.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    neck: tuple[int, int, int]
    mixed: bool
    head: int


Radius = Callable[[Tensor, Tensor], Tensor]  # of a Gaussian, from height and width of a box, in cells


class CenterNet(Detector):
    """CenterNet with a ResNet of basic blocks.

    Args:
        shape: of the network.
        names: of the classes.
        preprocessing: sets the input size.
        frame: (height, width) of the image that boxes refer to.
        picking: which peaks become boxes.
        radius: of the Gaussians that heat maps are taught.
    """

    task_name = "boxes2d"
    cell: Tensor

    def __init__(
        self,
        shape: Shape,
        names: tuple[str, ...],
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        picking: Picking,
        radius: Radius,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.names, self.picking = preprocessing, frame, names, picking
        self.radius = radius
        self.heads = (
            Head("hm", "confidence", names, ("logit",) * len(names), "hm", "grid", STRIDE,
                 "Where objects have their centres, a map for each class."),
            Head("wh", "semantics", ("width", "height"), ("cell", "cell"), "hm", "grid", STRIDE,
                 "How wide and high the object of each cell is. Its confidence: that of the surest class."),
            Head("reg", "semantics", ("x", "y"), ("cell", "cell"), "hm", "grid", STRIDE,
                 "From each cell to the centre of its object: what the coarse grid rounds off."),
        )  # fmt: skip
        self.backbone = ResNet(shape.blocks, shape.widths)
        self.neck = Neck(shape.widths[-1], shape.neck, shape.mixed)
        self.bbox_head = Heads(shape.neck[-1], shape.head, len(names))
        scale = torch.tensor([frame[1] / preprocessing.size[1], frame[0] / preprocessing.size[0]])
        self.register_buffer("cell", STRIDE * scale, persistent=False)  # (2,) width and height in frame pixels

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The authors' names as MMDetection's."""
        return from_pose_resnet(state)

    def forward(self, images: Tensor) -> Outputs:
        """Outputs at stride 4: hm (B, C, h, w) logits; wh, reg (B, 2, h, w) as x, y in cells."""
        return self.bbox_head(self.neck(self.backbone(images)[-1]))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        """Of semantics, the maximum over the classes in each cell (ours: Selective Focus's paper is silent on it)."""
        return outputs["hm"].sigmoid() if head == "hm" else surest(outputs, "hm")

    def _boxes(self, outputs: Outputs) -> Tensor:
        """(B, 4, h, w) the sides of the box of every cell, in frame pixels."""
        cell = self.cell[:, None, None]
        return sides((cell_indices(outputs["hm"]) + outputs["reg"]) * cell, outputs["wh"] * cell)

    def decode(self, outputs: Outputs) -> Boxes2d:
        """The published decode, of which the sure boxes are kept that the published demos show."""
        found = self.candidates(outputs)
        kept = found.score > self.picking.least
        box = found.box.masked_fill(~kept.unsqueeze(-1), float("nan"))
        return replace(found, box=box, score=found.score * kept, label=found.label * kept).compact()

    def candidates(self, outputs: Outputs) -> Boxes2d:
        """The published decode; only boxes of a negative side, which are not ruled out, are made empty ones here."""
        found = centres(outputs["hm"].sigmoid(), self.picking.most)
        box = found.read(self._boxes(outputs))
        box = torch.cat([box[..., :2], torch.maximum(box[..., :2], box[..., 2:])], -1)
        return Boxes2d(box, found.score, found.label, self.names, self.frame)

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        """Around the peaks that decoding takes, Gaussians as wide as their boxes ask for."""
        heat = outputs["hm"].sigmoid()
        found = centres(heat, self.picking.most)
        kept = found.score > least
        width, height = found.read(outputs["wh"]).clamp_min(0)[kept].unbind(-1)
        image = torch.arange(len(heat), device=heat.device).unsqueeze(1).expand_as(kept)
        cell, columns = found.cell[kept], heat.shape[3]
        places = torch.stack([image[kept], found.label[kept], cell // columns, cell % columns], 1)
        return {"hm": spread(tuple(heat.shape), places, self.radius(height, width).long())}

    def corners(self, outputs: Outputs) -> RoadPoints:
        return corner_points(self._boxes(outputs), outputs["hm"].sigmoid(), self.frame[1])


RESNET18 = (2, 2, 2, 2), (64, 128, 256, 512)
PUBLISHED = Picking(most=100, least=0.3)  # 0.3 is what the authors' demo and MMDetection's show


@register("centernet-r18", source=SOURCE)
def centernet_r18() -> CenterNet:
    """MMDetection's ResNet-18 for COCO without deformable convolutions (25.9 mAP); ImageNet's statistics."""
    mean, std = (123.675 / 255, 116.28 / 255, 103.53 / 255), (58.395 / 255, 57.12 / 255, 57.375 / 255)
    shape = Shape(*RESNET18, neck=(256, 128, 64), mixed=True, head=64)
    preprocessing = Preprocessing((512, 512), mean, std, "rgb")
    return CenterNet(shape, COCO, preprocessing, (512, 512), PUBLISHED, partial(gaussian_radius, overlap=0.3))


@register("centernet-r18-pose", source=POSE_SOURCE)
def centernet_r18_pose() -> CenterNet:
    """The authors' ResNet-18 for COCO; their statistics of BGR images."""
    mean, std = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)
    shape = Shape(*RESNET18, neck=(256, 256, 256), mixed=False, head=64)
    preprocessing = Preprocessing((512, 512), mean, std, "bgr")
    return CenterNet(shape, COCO, preprocessing, (512, 512), PUBLISHED, partial(first_gaussian_radius, overlap=0.7))


@register("centernet-tiny", weights="centernet-tiny.safetensors", source=SOURCE)
def centernet_tiny() -> CenterNet:
    """The same architecture as centernet-r18, narrow, trained on the project's rendered scenes."""
    preprocessing = Preprocessing((224, 384), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb")
    shape = Shape((1, 2, 2, 1), (16, 32, 64, 96), neck=(64, 32, 24), mixed=True, head=24)
    picking = Picking(most=100, least=0.3)
    return CenterNet(shape, NAMES, preprocessing, (360, 640), picking, partial(gaussian_radius, overlap=0.3))
