"""CondLaneNet: lanes as location maps drawn by kernels of their own (Liu et al., ICCV 2021), published key names.

A heat map says where lanes start. The cell where one starts holds the weights of two small convolutions, the lane's
kernels, that read the same features: one draws a map whose peak in each row is where the lane passes, the other the
offset from each cell to the lane. A perceptron on a row of the location map says whether the lane exists there.

The published code picks the starts first and applies the kernels of those cells alone, so what it returns differs in
number from image to image. Here the heads are what can be said before picking, the same for every image:
heat map, kernels, features, and the existence of the lane of every cell. Decoding picks the cells and applies
their kernels. The offset's bias is a head of its own, being a quantity of its own: it moves whole lanes sideways.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.condlanenet_decode import Picking, columns, extents, pick
from sfcore.detectors.ganet_neck import ConvModule, TransConvEncoder, top_down
from sfcore.detectors.heat_maps import heat_map, hottest_around, peaks
from sfcore.detectors.layers import MatMul, ResNet
from sfcore.detectors.registry import register
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.distortion import REFERENCE_WIDTH
from sfcore.tasks.lanes.rows import off_image_to_nan

SOURCE = "https://github.com/aliyun/conditional-lane-detection (Liu et al., ICCV 2021)"
STRIDE, START_STRIDE = 8, 16  # pixels of the input per cell of the features and of the heat map
BIAS = -2.19  # the published code adds it to the last bias of every dynamic convolution
RADIUS = 2  # cells of the heat map, of the Gaussians around starts that it is taught
FAINT = 0.05  # starts less confident than this make no road points


class TransConvFPN(nn.Module):
    """Self-attention on the coarsest features, then a feature pyramid. The coarsest output exists in published
    checkpoints and feeds nothing.

    Args:
        inputs: channels of the backbone's features at strides 8, 16 and 32.
        width: of the pyramid.
        cells: (height, width) of the coarsest features.
    """

    def __init__(self, inputs: tuple[int, ...], width: int, cells: tuple[int, int]) -> None:
        super().__init__()
        self.trans_head = TransConvEncoder(inputs[-1], width, cells)
        self.lateral_convs = nn.ModuleList(ConvModule(n, width, 1, act=False) for n in (*inputs[:-1], width))
        self.fpn_convs = nn.ModuleList(ConvModule(width, width, 3, act=False) for _ in inputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Features at strides 8, 16, 32 to those of the pyramid at strides 8 and 16."""
        fine, middle, coarse = features
        inputs = (fine, middle, self.trans_head(coarse))
        merged = top_down([conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)])
        return self.fpn_convs[0](merged[0]), self.fpn_convs[1](merged[1])


class CtnetHead(nn.Module):
    """Heat map of starts, which begins near sigmoid(-2.19) = 0.1, and the kernels of each cell."""

    def __init__(self, width: int, params: int) -> None:
        super().__init__()
        self.hm, self.params = (
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, outputs, 1))
            for outputs in (1, params)
        )
        for branch, bias in ((self.hm, -2.19), (self.params, 0.0)):
            nn.init.constant_(branch[2].bias, bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.hm(x), self.params(x)


class MLP(nn.Module):
    """Two layers on the rows of location maps; convolutions of size 1 in the published code."""

    def __init__(self, inputs: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, hidden), nn.Linear(hidden, 2)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[1](functional.relu(self.layers[0](x)))


class CondLaneHead(nn.Module):
    """The six heads.

    Args:
        width: channels of the features.
        cells: (height, width) of the features.
        starts: (height, width) of the heat map.
    """

    places: Tensor

    def __init__(self, width: int, cells: tuple[int, int], starts: tuple[int, int]) -> None:
        super().__init__()
        self.cells, self.starts = cells, starts
        self.split = [width + 2, 1, width + 2, 1]  # weights of x, y and the features, and bias; of both kernels
        self.mask_branch = nn.Sequential(*(ConvModule(width, width, 3, norm=True) for _ in range(3)))
        self.ctnet_head = CtnetHead(width, sum(self.split))
        self.mlp = MLP(cells[1])
        self.draw = MatMul()
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in cells), indexing="ij")
        # Published: y too is divided by the width.
        self.register_buffer("places", torch.stack([x, y]).unsqueeze(0) / cells[1], persistent=False)

    def ground(self, features: Tensor) -> Tensor:
        """(B, C, H, W) features to what kernels read: x and y before the features, (B, 2 + C, H·W)."""
        return torch.cat([self.places.expand(len(features), -1, -1, -1), features], 1).flatten(2)

    def forward(self, fine: Tensor, middle: Tensor) -> Outputs:
        """Features at strides 8 and 16 to the outputs that :class:`CondLaneNet` names."""
        hm, params = self.ctnet_head(middle)
        location, bias, offset, shift = params.split(self.split, 1)
        features = self.mask_branch(fine)
        maps = self.draw(location.flatten(2).transpose(1, 2), self.ground(features))
        maps = maps + (bias + BIAS).flatten(2).transpose(1, 2)
        absent, present = self.mlp(maps.unflatten(2, self.cells).flatten(1, 2)).unbind(-1)
        exists = (present - absent).unflatten(1, (-1, self.cells[0])).transpose(1, 2).unflatten(2, self.starts)
        return {
            "hm": hm,
            "location": location,
            "offset": offset,
            "shift": shift + BIAS,
            "features": features,
            "range": exists,
        }


def _heads(width: int, rows: int) -> tuple[Head, ...]:
    kernel, units = ("x", "y", *(f"feature {i}" for i in range(width))), ("weight",) * (width + 2)
    return (
        Head("hm", "confidence", ("start",), ("logit",), "hm", "grid", START_STRIDE,
             "Where lanes start: their lowest points."),
        Head("location", "semantics", kernel, units, "hm", "grid", START_STRIDE,
             "Weights by which the lane that starts here reads the features; the result peaks where it passes."),
        Head("offset", "semantics", kernel, units, "hm", "grid", START_STRIDE,
             "Weights by which it reads its exact place from them: what the coarse grid rounds off."),
        Head("shift", "semantics", ("x",), ("cell",), "hm", "grid", START_STRIDE,
             "What is added to that place in every row: it moves the whole lane sideways."),
        Head("features", "semantics", kernel[2:], units[2:], "hm", "grid", STRIDE,
             "What all lanes' weights are applied to; its confidence is high where confident lanes pass."),
        Head("range", "semantics", tuple(f"row {i}" for i in range(rows)), ("logit",) * rows, "hm", "grid",
             START_STRIDE, "In which rows the lane that starts here exists."),
    )  # fmt: skip


class CondLaneNet(Detector):
    """CondLaneNet with a ResNet of basic blocks.

    Args:
        blocks, widths: of the ResNet's stages.
        width: channels of the pyramid, the features and the kernels.
        preprocessing: sets the input size, which the position embeddings and the perceptron depend on.
        frame: (height, width) of the image that lanes refer to.
        picking: how peaks become lanes.
    """

    cell: Tensor

    def __init__(
        self,
        blocks: tuple[int, ...],
        widths: tuple[int, ...],
        width: int,
        preprocessing: Preprocessing,
        frame: tuple[int, int],
        picking: Picking,
    ) -> None:
        super().__init__()
        self.preprocessing, self.frame, self.picking = preprocessing, frame, picking
        # Every stride-2 layer rounds up.
        cells, starts, coarse = ((-(-preprocessing.size[0] // n), -(-preprocessing.size[1] // n)) for n in (8, 16, 32))
        self.heads = _heads(width, cells[0])
        self.backbone = ResNet(blocks, widths)
        self.neck = TransConvFPN(widths[1:], width, coarse)
        self.bbox_head = CondLaneHead(width, cells, starts)
        self.top = round(preprocessing.top * frame[0])
        scale = torch.tensor([frame[1] / preprocessing.size[1], (frame[0] - self.top) / preprocessing.size[0]])
        self.register_buffer("cell", STRIDE * scale, persistent=False)  # (2,) width and height in frame pixels
        self.register_buffer("rows", even_rows(frame[0], 4.0, start=self.top), persistent=False)

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The published perceptron is made of 1-D convolutions of size 1: the same weights with one axis more."""
        return {k: v.squeeze(-1) if k.startswith("bbox_head.mlp.") and v.ndim == 3 else v for k, v in state.items()}

    def forward(self, images: Tensor) -> Outputs:
        """Outputs of each cell at stride 16, where lanes start, and of features of C channels at stride 8.

        hm (B, 1, h, w) logits; location, offset (B, 2 + C, h, w) weights of x, y (in map widths) and features;
        shift (B, 1, h, w) cells of stride 8; features (B, C, H, W); range (B, H, h, w) logits.
        """
        return self.bbox_head(*self.neck(self.backbone(images)[1:]))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return self._passes(outputs) if head == "features" else outputs[self.head(head).confidence].sigmoid()

    def _passes(self, outputs: Outputs) -> Tensor:
        """(B, 1, H, W) confidence that a lane passes: of the hottest starts, heat times existence in the row times
        the location map relative to its row's peak."""
        heat = outputs["hm"].sigmoid()
        peaks = torch.where(heat == hottest_around(heat), heat, torch.zeros_like(heat))
        score, start = peaks.flatten(1).topk(min(self.picking.lanes, peaks[0].numel()))

        def at_starts(name: str) -> Tensor:
            values = outputs[name].flatten(2)
            return values.gather(2, start.unsqueeze(1).expand(-1, values.shape[1], -1)).transpose(1, 2)

        maps = self._maps(at_starts("location"), outputs["features"])
        lane = (maps - maps.amax(-1, keepdim=True)).exp() * at_starts("range").sigmoid().unsqueeze(-1)
        return (lane * score[..., None, None]).amax(1, keepdim=True)

    def _maps(self, kernels: Tensor, features: Tensor) -> Tensor:
        """(B, K, H, W) maps that (B, K, 2 + C) kernels draw on (B, C, H, W) features, without bias."""
        return (kernels @ self.bbox_head.ground(features)).unflatten(2, features.shape[2:])

    def decode(self, outputs: Outputs) -> Lanes:
        picked = pick(outputs["hm"], self.picking)
        first, last = extents(outputs, picked)
        x = columns(outputs, picked, first, last) * self.cell[0]
        # Lines are straight between the rows of cells.
        row = (self.rows - self.top) / self.cell[1]
        above = row.long().clamp_max(x.shape[1] - 2)
        x = torch.lerp(x[:, above], x[:, above + 1], (row - above).expand(len(x), -1))
        lines = x.new_full((*picked.score.shape, len(row)), float("nan"))
        lines[picked.image, picked.slot] = x.masked_fill((row < first) | (row > last), float("nan"))
        return off_image_to_nan(Lanes(lines, picked.score, self.rows, self.frame))

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        heat = outputs["hm"].sigmoid()
        return {"hm": heat_map(peaks(heat, least).to(heat), RADIUS)}

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of the lane of every cell of the heat map, its column in each row and its height.

        A lane's column is the mean of its location map, plus the offset, which is read between cells there.
        """
        kernels = [outputs[name].flatten(2).transpose(1, 2) for name in ("location", "offset")]
        maps, offsets = (self._maps(kernel, outputs["features"]) for kernel in kernels)
        x = torch.arange(maps.shape[-1], device=maps.device, dtype=maps.dtype)
        mean = maps.softmax(-1) @ x
        left = mean.detach().long().clamp_max(maps.shape[-1] - 2)
        sides = torch.stack([left, left + 1], -1)
        corrected = offsets.gather(-1, sides) + sides
        column = torch.lerp(corrected[..., 0], corrected[..., 1], mean - left)
        column = column + outputs["shift"].flatten(1).unsqueeze(-1)
        exists = outputs["range"].flatten(2).transpose(1, 2).sigmoid()
        unit = self.frame[1] / REFERENCE_WIDTH
        position = torch.cat([column * self.cell[0], exists.sum(-1, keepdim=True) * self.cell[1]], -1) / unit
        heat = outputs["hm"].flatten(1).unsqueeze(-1).sigmoid()
        heat = torch.where(heat > FAINT, heat, torch.zeros_like(heat))
        weight = torch.cat([heat * exists, heat], -1).detach()
        return RoadPoints(position.flatten(1), weight.flatten(1))


def _published(blocks: tuple[int, ...]) -> CondLaneNet:
    """The CULane models: 1640×590 frames without their upper 270 rows, at 800×320; statistics of BGR images."""
    mean, std = (75.3 / 255, 76.6 / 255, 77.6 / 255), (50.5 / 255, 53.8 / 255, 54.3 / 255)
    preprocessing = Preprocessing((320, 800), mean, std, "bgr", top=270 / 590)
    return CondLaneNet(blocks, (64, 128, 256, 512), 64, preprocessing, (590, 1640), Picking(heat=0.5, near=4.0))


@register("condlanenet-small", source=SOURCE)
def condlanenet_small() -> CondLaneNet:
    """CondLaneNet-S for CULane: ResNet-18."""
    return _published((2, 2, 2, 2))


@register("condlanenet-mid", source=SOURCE)
def condlanenet_mid() -> CondLaneNet:
    """CondLaneNet-M for CULane: ResNet-34."""
    return _published((3, 4, 6, 3))


@register("condlanenet-tiny", weights="condlanenet-tiny.safetensors", source=SOURCE)
def condlanenet_tiny() -> CondLaneNet:
    """The same architecture, narrow, trained on the project's rendered scenes."""
    preprocessing = Preprocessing((224, 352), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    return CondLaneNet((1, 2, 2, 2), (16, 32, 64, 96), 32, preprocessing, (360, 640), Picking(heat=0.5, near=1.0))
