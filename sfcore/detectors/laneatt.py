"""LaneATT: lanes as anchors that look at each other (Tabelini et al., CVPR 2021), for the published checkpoints.

Each anchor, a straight line from the image's border, collects the features of the cells that it crosses. From
these and a weighted sum of all other anchors' features, the network says whether a lane is near the anchor, how
many rows it has, and how far it lies beside the anchor in each row.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints
from sfcore.detectors.laneatt_anchors import PUBLISHED, cells, columns, spread
from sfcore.detectors.laneatt_decode import Choice, Proposals, best, visible
from sfcore.detectors.laneatt_published import own_keys
from sfcore.detectors.layers import MatMul, ResNet
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.tasks.lanes.rows import off_image_to_nan

SOURCE = "https://github.com/lucastabelini/LaneATT (Tabelini et al., CVPR 2021; MIT)"
ROWS = 72  # rows of a lane, evenly from the bottom of the input to its top
FAINT = 0.05  # anchors less confident than this are no road points


class LaneATT(Detector):
    """LaneATT with a ResNet of basic blocks.

    Args:
        blocks, widths, dilations: of the ResNet's stages.
        stride: input pixels per cell of the last stage.
        width: channels that an anchor collects from each cell.
        anchors: (A, 4), see :mod:`sfcore.detectors.laneatt_anchors`; saved with the weights, which belong to them.
        preprocessing: sets the input size.
        frame: (height, width) of the image that lanes refer to.
        choice: which proposals become lanes.
    """

    heads = (
        Head("logits", "confidence", ("background", "lane"), ("logit", "logit"), "logits", "query",
             description="Whether an anchor has a lane near it."),
        Head("length", "semantics", ("length",), ("row",), "logits", "query",
             description="How many rows a lane has, counted from where its anchor starts."),
        Head("offset", "semantics", tuple(f"x{row}" for row in range(ROWS)), ("input pixel",) * ROWS, "logits", "query",
             description="How far right of its anchor a lane lies in each row, from the bottom to the top."),
    )  # fmt: skip

    anchors: Tensor

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        dilations: tuple[int, ...],
        stride: int,
        width: int,
        anchors: Tensor,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        choice: Choice,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.choice, self.stride = preprocessing, frame, choice, stride
        self.backbone = ResNet(blocks, widths, dilations)
        collected = width * (preprocessing.size[0] // stride)
        self.conv1 = nn.Conv2d(widths[-1], width, 1)
        self.attention_layer = nn.Linear(collected, len(anchors) - 1)
        self.mix = MatMul()
        self.cls_layer = nn.Linear(2 * collected, 2)
        self.reg_layer = nn.Linear(2 * collected, 1 + ROWS)
        self.register_buffer("anchors", anchors)
        self.top = top = round(preprocessing.top * frame[0])
        # The lowest of the network's rows lies on the image's lower edge, below its last pixels: it is left out.
        self.register_buffer("rows", top + torch.linspace(0, 1, ROWS)[:-1] * (frame[0] - top), persistent=False)

    def forward(self, images: Tensor) -> Outputs:
        """Outputs of A anchors: logits (B, A, 2), length (B, A, 1) in rows, offset (B, A, 72) in input pixels."""
        own = self.collect(self.conv1(self.backbone(images)[-1]))
        others = self.mix(self.attention(own), own)
        both = torch.cat([others, own], -1)
        regressed = self.reg_layer(both)
        return {"logits": self.cls_layer(both), "length": regressed[..., :1], "offset": regressed[..., 1:]}

    def collect(self, features: Tensor) -> Tensor:
        """(B, C, H, W) features to (B, A, C · height): those of the cells that each anchor crosses, 0 outside."""
        height = self.preprocessing.size[0] // self.stride
        column, inside = cells(self.anchors, self.preprocessing.size, self.stride, height)
        row = torch.arange(height, device=column.device)
        return (features[:, :, row, column] * inside.to(features.dtype)).transpose(1, 2).flatten(2)

    def attention(self, own: Tensor) -> Tensor:
        """(B, A, A) how much each anchor (dimension 1) looks at each other one; nothing at itself."""
        weight = self.attention_layer(own).softmax(-1)
        count = weight.shape[1]
        # Between two entries of the diagonal lie the A entries of which the weights tell, row by row.
        padded = functional.pad(weight.reshape(-1, count - 1, count), (0, 1)).flatten(1)
        return functional.pad(padded, (1, 0)).view(-1, count, count)

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        # The softmax over two classes, which is slow over so short a dimension.
        return (outputs["logits"][..., 1:] - outputs["logits"][..., :1]).sigmoid()

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return own_keys(state, len(self.anchors))

    @property
    def starts(self) -> Tensor:
        """(A,) long: the row where each anchor starts."""
        return ((1 - self.anchors[:, 1]) * (ROWS - 1)).round().long()

    @property
    def lines(self) -> Tensor:
        """(A, 72) each anchor's column in each row, in input pixels."""
        heights = torch.linspace(1, 0, ROWS, device=self.anchors.device)
        return columns(self.anchors, heights) * self.preprocessing.size[1]

    def proposals(self, outputs: Outputs) -> Proposals:
        """The confident proposals of all images."""
        score = self.confidence(outputs, "logits").squeeze(-1)
        image, anchor = (score > self.choice.confidence).nonzero(as_tuple=True)
        # Scores are at most 1: this sorts by image, the most confident first.
        order = (image - score[image, anchor].double() / 2).argsort(stable=True)
        image, anchor = image[order], anchor[order]
        length = outputs["length"][image, anchor, 0] + self.anchors[anchor, 3]
        offset = outputs["offset"].flatten(0, 1).index_select(0, image * len(self.anchors) + anchor)
        x = offset.add_(self.lines.index_select(0, anchor))
        return Proposals(image, score[image, anchor], self.starts[anchor], length, x)

    def decode(self, outputs: Outputs) -> Lanes:
        found, place = best(self.proposals(outputs), self.choice)
        width = self.preprocessing.size[1]
        line = found.x.masked_fill(~visible(found, width), float("nan")) * (self.frame[1] / width)
        slots = len(outputs["logits"]), self.choice.lanes
        x, score = line.new_full((*slots, ROWS - 1), float("nan")), line.new_zeros(slots)
        x[found.image, place] = line[:, 1:].flip(1)
        score[found.image, place] = found.score
        return off_image_to_nan(Lanes(x, score, self.rows, self.frame))

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of every anchor, the columns of its lane from its start to its end, and the height of that end."""
        size, lane = self.preprocessing.size, self.confidence(outputs, "offset").detach()
        lane = torch.where(lane > FAINT, lane, torch.zeros_like(lane))
        x = outputs["offset"] + self.lines
        end = outputs["length"] + self.anchors[:, 3:] + self.starts.unsqueeze(1) - 1
        y = self.top + (1 - end / (ROWS - 1)) * (self.frame[0] - self.top)
        row = torch.arange(ROWS, device=x.device)
        seen = (row >= self.starts.unsqueeze(1)) & (row <= end.round()) & (x >= 0) & (x <= size[1])
        unit = self.frame[1] / REFERENCE_WIDTH
        position = torch.cat([x * (self.frame[1] / size[1]), y], -1) / unit
        return RoadPoints(position.flatten(1), torch.cat([lane * seen, lane], -1).detach().flatten(1))


def _published(blocks: tuple[int, ...]) -> LaneATT:
    """The CULane models: whole frames at 640×360, as BGR shares of 255; 1000 anchors, which the checkpoint brings."""
    preprocessing = Preprocessing((360, 640), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bgr")
    anchors = spread(PUBLISHED.anchors(), 1000)
    choice = Choice(confidence=0.5, near=50.0, lanes=4)
    return LaneATT(blocks, (64, 128, 256, 512), (1,) * 4, 32, 64, anchors, preprocessing, (590, 1640), choice)


@register("laneatt-small", source=SOURCE)
def laneatt_small() -> LaneATT:
    """LaneATT for CULane with ResNet-18."""
    return _published((2, 2, 2, 2))


@register("laneatt-mid", source=SOURCE)
def laneatt_mid() -> LaneATT:
    """LaneATT for CULane with ResNet-34."""
    return _published((3, 4, 6, 3))


@register("laneatt-tiny", weights="laneatt-tiny.safetensors", source=SOURCE)
def laneatt_tiny() -> LaneATT:
    """The same architecture, narrow, its last stage dilated, trained on the project's rendered scenes."""
    preprocessing = Preprocessing((192, 320), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    choice = Choice(confidence=0.55, near=32.0, lanes=8)
    widths, dilations = (16, 32, 64, 96), (1, 1, 1, 2)
    anchors = replace(PUBLISHED, lateral=12, base=16).anchors()
    return LaneATT((1, 2, 2, 2), widths, dilations, 16, 32, anchors, preprocessing, (360, 640), choice)
