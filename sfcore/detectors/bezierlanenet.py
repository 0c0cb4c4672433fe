"""BézierLaneNet: lanes as cubic Bézier curves, one for each column of cells (Feng et al., CVPR 2022), published keys.

The features of a column of cells are averaged over the height; each column then says whether it stands for a
lane and gives the four control points of that lane's curve. Of neighbouring columns only the surest is believed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.deform_conv import kernel_points, sample_points
from sfcore.detectors.ganet_decode import sample_rows
from sfcore.detectors.layers import Add, ResNet
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.tasks.lanes.rows import off_image_to_nan

SOURCE = "https://github.com/voldemortX/pytorch-auto-drive (Feng et al., CVPR 2022)"
SAMPLES = 50  # points of a curve that its lane is drawn through
FIRST = (0.5, 0.9, 0.5, 0.65, 0.5, 0.4, 0.5, 0.15)  # what all curves are before training: a line up the middle
FAINT = 0.05  # curves less confident than this are no road points


def conv_norm(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, and batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class DilatedBottleneck(nn.Module):
    """A residual bottleneck that looks ``dilation`` cells far (YOLOF, Chen et al. 2021)."""

    def __init__(self, width: int, hidden: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = conv_norm(width, hidden, 1)
        self.conv2 = conv_norm(hidden, hidden, 3, dilation)
        self.conv3 = conv_norm(hidden, width, 1)
        self.relu, self.add = nn.ReLU(), Add()

    def forward(self, x: Tensor) -> Tensor:
        hidden = x
        for conv in (self.conv1, self.conv2, self.conv3):
            hidden = self.relu(conv(hidden))
        return self.add(x, hidden)


class FeatureFlipFusion(nn.Module):
    """Adds the mirrored features, aligned by a modulated deformable convolution (DCNv2, Zhu et al. 2019).

    Roads are roughly symmetric, cameras roughly in their middle: what is left of an image tells of what is right.
    The displacements and weights of the 3×3 points come from both the features and their mirror image.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj1 = conv_norm(width, width, 1)
        self.conv_offset = nn.Conv2d(2 * width, 27, 3, padding=1)
        self.proj2_conv = nn.Conv2d(width, width, 3, stride=3)  # the nine points of a cell at a time
        self.proj2_norm = nn.BatchNorm2d(width)
        self.relu, self.add = nn.ReLU(), Add()
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        mirrored, x = x.flip(-1), self.proj1(x)
        shift, weight = self.conv_offset(torch.cat([mirrored, x], 1)).split([18, 9], 1)
        read = sample_points(mirrored, shift + kernel_points(3, shift), rows=3)
        read = read * functional.pixel_shuffle(weight.sigmoid(), 3)
        return self.relu(self.add(x, self.proj2_norm(self.proj2_conv(read))))


class ColumnLayers(nn.Module):
    """Convolutions along the columns; one-dimensional when published, here over maps of height 1."""

    def __init__(self, width: int, layers: int = 2) -> None:
        super().__init__()
        convs = (nn.Conv2d(width, width, (1, 3), padding=(0, 1)) for _ in range(layers))
        self.hidden_layers = nn.ModuleList(convs)
        self.hidden_norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(layers))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.hidden_layers, self.hidden_norms, strict=True):
            x = self.relu(norm(conv(x)))
        return x


def segmentation_head(width: int, hidden: int) -> nn.Sequential:
    """Where lanes are, as a map of logits: teaches the backbone, not used otherwise."""
    conv = nn.Conv2d(width, hidden, 3, padding=1, bias=False)
    first = nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(hidden), relu=nn.ReLU()))
    return nn.Sequential(OrderedDict(conv=first, conv_out=nn.Conv2d(hidden, 1, 1, bias=False)))


@dataclass(frozen=True)
class Selection:
    """Which curves are lanes.

    Attributes:
        threshold: a lane's confidence is above this.
        window: a lane is the surest of this many neighbouring columns.
        lanes: most lanes of one image, the surest.
    """

    threshold: float
    window: int
    lanes: int


class BezierLaneNet(Detector):
    """BézierLaneNet with a ResNet of basic blocks whose last stage has stride 16.

    Args:
        blocks, widths, dilations: of the ResNet's stages, the first three when published.
        hidden: channels inside the dilated blocks and the segmentation head.
        preprocessing: sets the input size.
        frame: (height, width) of the image that lanes refer to.
        selection: which curves are lanes.
    """

    heads = (
        Head("logits", "confidence", ("lane",), ("logit",), "logits", "query",
             description="Whether a column of cells stands for a lane."),
        Head("curves", "semantics", ("x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3"),
             ("input width", "input height") * 4, "logits", "query",
             description="The four control points of each column's curve, from the lane's near end to its far end."),
    )  # fmt: skip

    bernstein: Tensor

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        dilations: tuple[int, ...],
        hidden: int,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        selection: Selection,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.selection = preprocessing, frame, selection
        width = widths[-1]
        self.backbone = ResNet(blocks, widths, dilations)
        self.dilated_blocks = nn.Sequential(*(DilatedBottleneck(width, hidden, dilation) for dilation in (4, 8)))
        self.simple_flip_2d = FeatureFlipFusion(width)
        self.regression_head = ColumnLayers(width)
        self.proj_classification = nn.Conv2d(width, 1, 1)
        self.proj_regression = nn.Conv2d(width, 8, 1)
        self.proj_regression.bias.data.copy_(torch.tensor(FIRST))  # type: ignore[union-attr]
        self.segmentation_head = segmentation_head(width, hidden)
        self.top = round(preprocessing.top * frame[0])
        self.register_buffer("rows", even_rows(frame[0], 4.0, start=self.top), persistent=False)
        self.register_buffer("bernstein", bernstein(SAMPLES), persistent=False)

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The published tensors; the deformable convolution's own convolution stands beside it here, and kernels
        over columns have a height of 1."""
        renamed = {key.replace("proj2_conv.conv_offset", "conv_offset"): value for key, value in state.items()}
        return {key: value.unsqueeze(2) if value.ndim == 3 else value for key, value in renamed.items()}

    def forward(self, images: Tensor) -> Outputs:
        """Outputs: logits (B, Q, 1), curves (B, Q, 8), one query for each column of cells at stride 16; while
        training also segmentation (B, 1, h, w), logits at stride 16."""
        features = self.backbone(images)[-1]
        x = self.simple_flip_2d(self.dilated_blocks(features))
        x = self.regression_head(x.mean(2, keepdim=True))
        queries = {"logits": self.proj_classification(x), "curves": self.proj_regression(x)}
        outputs = {name: value.squeeze(2).transpose(1, 2) for name, value in queries.items()}
        if self.training:
            outputs["segmentation"] = self.segmentation_head(features)
        return outputs

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["logits"].sigmoid()

    def decode(self, outputs: Outputs) -> Lanes:
        query, score = surest(outputs["logits"].squeeze(-1).sigmoid(), self.selection)
        curves = outputs["curves"].gather(1, query.unsqueeze(-1).expand(-1, -1, 8))
        x, y = self._sampled(curves)
        x = sample_rows(x, y.masked_fill(score.unsqueeze(-1) == 0, float("nan")), self.rows)
        return off_image_to_nan(Lanes(x, score, self.rows, self.frame))

    def _sampled(self, curves: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, 8) control points to the x and y (B, L, S) of points along their curves, in pixels of the frame."""
        # Term by term: a matrix product may round differently in batches of other sizes.
        terms = [curves[..., axis::2].unbind(-1) for axis in range(2)]
        x, y = (sum(p.unsqueeze(-1) * b for p, b in zip(axis, self.bernstein, strict=True)) for axis in terms)
        return x * self.frame[1], y * (self.frame[0] - self.top) + self.top

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of every curve, x and y of points along it."""
        x, y = self._sampled(outputs["curves"])
        inside = (x >= 0) & (x <= self.frame[1] - 1) & (y >= self.top) & (y <= self.frame[0] - 1)
        sure = outputs["logits"].detach().sigmoid()
        weight = torch.where(inside & (sure > FAINT), sure, torch.zeros_like(sure))
        position = torch.cat([x.flatten(1), y.flatten(1)], 1) * (REFERENCE_WIDTH / self.frame[1])
        return RoadPoints(position, weight.detach().flatten(1).repeat(1, 2))


def bernstein(samples: int) -> Tensor:
    """(4, samples) the weights of a cubic Bézier curve's control points at even steps of its parameter, 0 to 1."""
    t = torch.linspace(0, 1, samples, dtype=torch.float64)
    return torch.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]).float()


def local_maxima(confidence: Tensor, window: int) -> Tensor:
    """(B, Q) bool: which queries are the surest of ``window`` neighbours; of equals the first."""
    _, best = functional.max_pool1d(confidence, window, 1, window // 2, return_indices=True)
    return best == torch.arange(confidence.shape[1], device=best.device)


def surest(confidence: Tensor, selection: Selection) -> tuple[Tensor, Tensor]:
    """The queries of each image that are lanes, from left to right.

    A query is a lane if it is sure, surer than its neighbours (of equals the first) and, as published, surer than
    the one that would be a lane too many.

    Args:
        confidence: (B, Q) in [0, 1].

    Returns:
        (B, L) long: the query of each lane; (B, L) its confidence, 0 for no lane.
    """
    lane = local_maxima(confidence, selection.window) & (confidence > selection.threshold)
    score, query = (confidence * lane).topk(selection.lanes + 1)
    score, query = score[:, :-1] * (score[:, :-1] > score[:, -1:]), query[:, :-1]
    query, order = query.sort()
    return query, score.gather(1, order)


def _published(blocks: tuple[int, ...]) -> BezierLaneNet:
    """The CULane models: whole 1640×590 frames at 800×288, the usual statistics of photographs."""
    preprocessing = Preprocessing((288, 800), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    selection = Selection(threshold=0.95, window=9, lanes=4)
    return BezierLaneNet(blocks, (64, 128, 256), (1, 1, 1), 64, preprocessing, (590, 1640), selection)


@register("bezierlanenet-small", source=SOURCE)
def bezierlanenet_small() -> BezierLaneNet:
    """BézierLaneNet for CULane: ResNet-18."""
    return _published((2, 2, 2))


@register("bezierlanenet-mid", source=SOURCE)
def bezierlanenet_mid() -> BezierLaneNet:
    """BézierLaneNet for CULane: ResNet-34."""
    return _published((3, 4, 6))


@register("bezierlanenet-tiny", weights="bezierlanenet-tiny.safetensors", source=SOURCE)
def bezierlanenet_tiny() -> BezierLaneNet:
    """The same architecture, narrow, trained on the project's rendered scenes.

    Its ResNet is shaped as ganet-tiny's and was trained further from those weights.
    """
    preprocessing = Preprocessing((160, 384), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    selection = Selection(threshold=0.5, window=5, lanes=8)
    return BezierLaneNet((1, 2, 2, 2), (16, 32, 64, 96), (1, 1, 1, 2), 32, preprocessing, (360, 640), selection)
