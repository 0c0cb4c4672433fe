"""LSTR: lanes as curves from a transformer (Liu et al., WACV 2021), with its published weights' key names.

A lane is  x(y) = k / (y - f)² + m / (y - f) + n + b·y - c  between two heights, all in shares of the image.
k, f, m and n describe the camera and the road and are shared by all lanes of an image; b and c are each
lane's own.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.layers import Add, resnet_stage, sine_positions
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.tasks.lanes.rows import off_image_to_nan

SOURCE = "https://github.com/liuruijin17/LSTR (BSD-3-Clause)"
CULANE_SOURCE = "https://github.com/voldemortX/pytorch-auto-drive (BSD-3-Clause), configs/lane_detection/lstr"


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with fixed statistics and parameters, all of them buffers (as in the published code)."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = 1e-5
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward; positions are added to queries and keys only."""

    def __init__(self, width: int, attention_heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, attention_heads)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.add1, self.add2 = Add(), Add()

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        query = x + positions
        x = self.norm1(self.add1(x, self.self_attn(query, query, x, need_weights=False)[0]))
        return self.norm2(self.add2(x, self.linear2(functional.relu(self.linear1(x)))))


class DecoderLayer(nn.Module):
    """Self-attention among the queries, attention to the image, feed-forward."""

    def __init__(self, width: int, attention_heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, attention_heads)
        self.multihead_attn = nn.MultiheadAttention(width, attention_heads)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.add1, self.add2, self.add3 = Add(), Add(), Add()

    def forward(self, x: Tensor, memory: Tensor, positions: Tensor, queries: Tensor) -> Tensor:
        query = x + queries
        x = self.norm1(self.add1(x, self.self_attn(query, query, x, need_weights=False)[0]))
        seen = self.multihead_attn(x + queries, memory + positions, memory, need_weights=False)[0]
        x = self.norm2(self.add2(x, seen))
        return self.norm3(self.add3(x, self.linear2(functional.relu(self.linear1(x)))))


class Encoder(nn.Module):
    """Encoder layers one after the other."""

    def __init__(self, layers: int, width: int, attention_heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, attention_heads, hidden) for _ in range(layers))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, positions)
        return x


class Decoder(nn.Module):
    """Decoder layers one after the other, and a norm."""

    def __init__(self, layers: int, width: int, attention_heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, attention_heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor, positions: Tensor, queries: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, positions, queries)
        return self.norm(x)


class Transformer(nn.Module):
    """Encoder over the image's cells, decoder over the queries.

    Args:
        placed: whether what attention reads holds positions and queries too. Published: it does not, they only
            steer attention, and coordinates must be inferred from the padding that convolutions saw. With them
            coordinates can be read off, which makes training from scratch much faster.
    """

    def __init__(self, layers: int, width: int, attention_heads: int, hidden: int, placed: bool = False) -> None:
        super().__init__()
        self.placed = placed
        self.encoder = Encoder(layers, width, attention_heads, hidden)
        self.decoder = Decoder(layers, width, attention_heads, hidden)

    def forward(self, features: Tensor, positions: Tensor, queries: Tensor) -> Tensor:
        """(B, C, H, W) features, (1, C, H, W) positions, (Q, C) queries to (B, Q, C)."""
        tokens = features.flatten(2).permute(2, 0, 1)
        places = positions.flatten(2).permute(2, 0, 1)
        asked = queries.unsqueeze(1).expand(-1, features.shape[0], -1)
        start = asked if self.placed else torch.zeros_like(asked)
        tokens = tokens + places if self.placed else tokens
        return self.decoder(start, self.encoder(tokens, places), places, asked).transpose(0, 1)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, width: int, outputs: int, layers: int = 3) -> None:
        super().__init__()
        sizes = [width] * layers + [outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        return self.layers[-1](x)


class LSTR(Detector):
    """LSTR with a ResNet of basic blocks.

    Args:
        preprocessing: sets the input size, which the position embedding depends on.
        frame: (height, width) of the image that lanes refer to.
        rows: that decode samples, in pixels of the frame.
        blocks, widths, strides: of the four ResNet stages.
        width, attention_heads, hidden, layers: of the transformer; as many encoder as decoder layers.
        placed: see :class:`Transformer`.
        queries: most lanes that can be found.
        threshold: a query more confident than this is a lane.
        lanes: most lanes of one image, the most confident.
        units: what 1 means in the network's last layer for each shared parameter. A step of an optimiser moves all
            four alike, though near the horizon a lane moves a hundred times as far with k as with n.
        pivot: height about which a change of b in the network's last layer turns a lane, in shares of the image. In
            the middle of the road, b and c are learned apart; published: the top of the image.
    """

    heads = (
        Head("logits", "confidence", ("background", "lane"), ("logit", "logit"), "logits", "query",
             description="Whether a query is a lane."),
        Head("extent", "semantics", ("top", "bottom"), ("image height",) * 2, "logits", "query",
             description="The heights between which a lane exists."),
        Head("shared", "semantics", ("k", "f", "m", "n"), ("image",) * 4, "logits", "image",
             description="Curve parameters of camera and road, one set for all lanes of an image."),
        Head("own", "semantics", ("b", "c"), ("image",) * 2, "logits", "query",
             description="Curve parameters of each lane: its slope and its place."),
    )  # fmt: skip

    positions: Tensor
    units: Tensor

    def __init__(
        self,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        rows: Tensor,
        blocks: tuple[int, ...] = (1, 2, 2, 2),
        widths: tuple[int, ...] = (16, 32, 64, 128),
        strides: tuple[int, ...] = (1, 2, 2, 2),
        width: int = 32,
        attention_heads: int = 2,
        hidden: int = 128,
        layers: int = 2,
        placed: bool = False,
        queries: int = 7,
        threshold: float = 0.5,
        lanes: int = 7,
        units: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        pivot: float = 0.0,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame = preprocessing, frame
        self.threshold, self.lanes, self.pivot = threshold, lanes, pivot
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = (widths[0], *widths[:-1])
        stages = [resnet_stage(*sizes) for sizes in zip(inputs, widths, blocks, strides, strict=True)]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.query_embed = nn.Embedding(queries, width)
        self.input_proj = nn.Conv2d(widths[-1], width, 1)
        self.transformer = Transformer(layers, width, attention_heads, hidden, placed)
        self.class_embed = nn.Linear(width, 2)
        self.specific_embed = MLP(width, 4)
        self.shared_embed = MLP(width, 4)
        self.register_buffer("units", torch.tensor(units), persistent=False)
        self._start_on_a_road()
        self.register_buffer("rows", rows, persistent=False)
        stride = 4 * math.prod(strides)
        cells = (-(-preprocessing.size[0] // stride), -(-preprocessing.size[1] // stride))  # every layer rounds up
        self.register_buffer("positions", sine_positions(width, *cells), persistent=False)

    @torch.no_grad()
    def _start_on_a_road(self) -> None:
        """Before training every query answers a straight lane up the middle of the image."""
        self.specific_embed.layers[-1].bias.copy_(torch.tensor([0.5, 1.0, 0.0, 0.0]))  # type: ignore[operator]
        self.shared_embed.layers[-1].bias.copy_(torch.tensor([0.0, 0.2, 0.0, 0.5]) / self.units)  # type: ignore[operator]

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """pytorch-auto-drive calls the ResNet ``backbone``, and its stem's norm counts batches."""
        own = {key.removeprefix("backbone."): value for key, value in state.items()}
        own.pop("bn1.num_batches_tracked", None)
        return own

    def forward(self, images: Tensor) -> Outputs:
        """Outputs: logits (B, Q, 2), extent (B, Q, 2), shared (B, 4), own (B, Q, 2)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.answers(self.transformer(self.input_proj(x), self.positions, self.query_embed.weight))

    def answers(self, states: Tensor) -> Outputs:
        """The heads' outputs for the (B, Q, C) states of the queries after a decoder layer and its norm."""
        top, bottom, b, turned = self.specific_embed(states).unbind(-1)
        return {
            "logits": self.class_embed(states),
            "extent": torch.stack([top, bottom], -1),
            "shared": self.shared_embed(states).mean(1) * self.units,
            "own": torch.stack([b, turned + self.pivot * b], -1),
        }

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        lane = outputs["logits"].softmax(-1)[..., 1:]
        # The shared parameters are used where any lane is: by the most confident one.
        return lane.amax(1) if self.head(head).layout == "image" else lane

    def columns(self, outputs: Outputs) -> Tensor:
        """(B, Q, R) the curve's column at each row, in pixels of the frame."""
        k, f, m, n = (value.unsqueeze(-1) for value in outputs["shared"].unsqueeze(1).unbind(-1))
        b, c = (value.unsqueeze(-1) for value in outputs["own"].unbind(-1))
        y = self.rows / self.frame[0]
        below = y - f
        # The formula has a pole at the vanishing row, where no lane is drawn: keep gradients finite near it.
        below = torch.where(below.abs() < 1e-3, below.sign() * 1e-3 + (below == 0) * 1e-3, below)
        return (k / below.square() + m / below + n + b * y - c) * self.frame[1]

    def _exists(self, outputs: Outputs) -> Tensor:
        """(B, Q, R) bool: which rows lie within each query's extent."""
        y = self.rows / self.frame[0]
        top, bottom = (value.unsqueeze(-1) for value in outputs["extent"].unbind(-1))
        return (y >= top) & (y <= bottom)

    def decode(self, outputs: Outputs) -> Lanes:
        lane = outputs["logits"].softmax(-1)[..., 1]
        rank = (lane.unsqueeze(1) >= lane.unsqueeze(2)).sum(-1)  # as published, equals share the worse rank
        found = (lane > self.threshold) & (rank <= self.lanes)
        x = self.columns(outputs)
        x = x.masked_fill(~(found.unsqueeze(-1) & self._exists(outputs)), float("nan"))
        return off_image_to_nan(Lanes(x, lane, self.rows, self.frame))

    def road_points(self, outputs: Outputs) -> RoadPoints:
        unit = self.frame[1] / REFERENCE_WIDTH
        columns = self.columns(outputs)
        ends = outputs["extent"] * self.frame[0]
        lane = outputs["logits"].detach().softmax(-1)[..., 1:]
        inside = (columns >= 0) & (columns <= self.frame[1] - 1)
        weight = lane * (self._exists(outputs) & inside)
        position = torch.cat([columns.flatten(1), ends.flatten(1)], 1) / unit
        return RoadPoints(position, torch.cat([weight.flatten(1), lane.expand_as(ends).flatten(1)], 1).detach())


@register("lstr-r18s", source=SOURCE)
def lstr_r18s() -> LSTR:
    """The published TuSimple model: a narrow ResNet-18 at 360×640."""
    # Published statistics, in the published channel order: images are read as BGR.
    mean, std = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)
    size = (360, 640)
    return LSTR(Preprocessing(size, mean, std, "bgr"), size, even_rows(360, 4.0, start=0.3 * 360))


def _culane(blocks: tuple[int, ...], expansion: int) -> LSTR:
    """The CULane models: whole 1640×590 frames at 800×288; of the queries above 0.95 the best four are lanes.

    The published decode samples lanes down to the same height of 250 px, but every 20 px alone, and drops what then
    has one point.
    """
    preprocessing = Preprocessing((288, 800), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    widths = tuple(expansion * channels for channels in (16, 32, 64, 128))
    return LSTR(
        preprocessing, (590, 1640), even_rows(590, 4.0, start=250.0), blocks, widths,
        width=32 * expansion, hidden=128 * expansion, threshold=0.95, lanes=4,
    )  # fmt: skip


@register("lstr-small", source=CULANE_SOURCE)
def lstr_small() -> LSTR:
    """LSTR for CULane: the narrow ResNet-18 of twice the width."""
    return _culane((1, 2, 2, 2), 2)


@register("lstr-mid", source=CULANE_SOURCE)
def lstr_mid() -> LSTR:
    """LSTR for CULane: ResNet-34, four times as wide."""
    return _culane((3, 4, 6, 3), 4)


@register("lstr-tiny", weights="lstr-tiny.safetensors", source=SOURCE)
def lstr_tiny() -> LSTR:
    """The same architecture, trained on the project's rendered scenes.

    Its ResNet is shaped as ganet-tiny's and was trained further from those weights: features learn slowly through a
    transformer.
    """
    preprocessing = Preprocessing((192, 320), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    return LSTR(
        preprocessing, (360, 640), even_rows(360, 4.0, start=108.0), (1, 2, 2, 2), (16, 32, 64, 96), (1, 2, 2, 1),
        width=64, attention_heads=4, layers=2, placed=True, queries=12, lanes=8, units=(0.02, 0.1, 0.1, 0.3), pivot=0.6,
    )  # fmt: skip
