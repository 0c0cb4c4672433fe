"""Detectors as their authors write them, in the idioms of torchvision, DETR and RetinaNet; none is of this project."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.registry import entry
from sfcore.registries import import_file
from sfcore.tasks.lanes import Lanes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class TwoColumns(Detector):
    """Two vertical lanes at the columns that a head says; subclasses make the features."""

    heads = (
        Head("logits", "confidence", ("lane",), ("logit",), "logits", "query"),
        Head("column", "semantics", ("x",), ("px",), "logits", "query"),
    )
    width: int

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.preprocessing = Preprocessing((64, 96), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.frame = (64, 96)
        self.register_buffer("rows", even_rows(64, 4.0), persistent=False)
        self.build()
        self.classify, self.place = nn.Linear(self.width, 2), nn.Linear(self.width, 2)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.4, 0.4)
                nn.init.uniform_(module.running_var, 0.3, 3.0)
                nn.init.uniform_(module.weight, 0.6, 1.6)
                nn.init.uniform_(module.bias, -0.3, 0.3)
        nn.init.constant_(self.classify.bias, 2.0)

    def build(self) -> None:
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """(B, width)"""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Outputs:
        x = self.features(images)
        return {"logits": self.classify(x).unsqueeze(-1), "column": 48 + 40 * torch.tanh(self.place(x)).unsqueeze(-1)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["logits"].sigmoid()

    def decode(self, outputs: Outputs) -> Lanes:
        score = outputs["logits"].sigmoid().squeeze(-1)
        x = outputs["column"].expand(-1, -1, len(self.rows))
        known = (x >= 0) & (x <= 95) & (score > 0.5)[..., None]
        return Lanes(torch.where(known, x, torch.nan), score, self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return RoadPoints(outputs["column"].flatten(1) * 640 / 96, outputs["logits"].detach().sigmoid().flatten(1))


class TorchvisionBlock(nn.Module):
    """Its basic block: one ReLU in place for both, and the sum in place."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet18(TwoColumns):
    """ResNet-18 in a quarter of its width."""

    width = 128

    def build(self) -> None:
        widths = (16, 16, 32, 64, 128)
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(TorchvisionBlock(n, m, 1 if n == m else 2), TorchvisionBlock(m, m, 1))
                for n, m in pairwise(widths)
            )
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def features(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return self.avgpool(self.stages(x)).flatten(1)


class Transformer(TwoColumns):
    """A convolutional stem, an encoder, and two queries that read it through a decoder: as DETR, by torch's layers."""

    width = 16

    def build(self) -> None:
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.position = nn.Parameter(torch.randn(1, 96, 16) / 4)
        self.queries = nn.Embedding(2, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32), 1, nn.LayerNorm(16))

    def features(self, images: Tensor) -> Tensor:
        tokens = self.encoder(self.stem(images).flatten(2).transpose(1, 2) + self.position)
        queries = self.queries.weight.unsqueeze(1).repeat(1, len(images), 1)
        blind = torch.zeros(2, 2, dtype=torch.bool, device=images.device)
        return self.decoder(queries, tokens.transpose(0, 1), tgt_mask=blind, tgt_is_causal=False).mean(0)


class Pyramid(TwoColumns):
    """A feature pyramid whose levels go through one tower, with a norm of its own for each level in its second half."""

    width = 16

    def build(self) -> None:
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU(inplace=True))
            for n in (3, 16, 16, 16)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(16, 16, 1) for _ in range(2))
        self.tower = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.shared = nn.Conv2d(16, 16, 3, 1, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(2))

    def features(self, images: Tensor) -> Tensor:
        levels = []
        for down in self.down:
            images = down(images)
            levels.append(images)
        fine, coarse = self.lateral[0](levels[2]), self.lateral[1](levels[3])
        fine += functional.interpolate(coarse, scale_factor=2)
        read = [norm(self.shared(self.tower(x))) for x, norm in zip((fine, coarse), self.norms, strict=True)]
        return torch.relu_(read[0]).mean((2, 3)) + torch.relu_(read[1]).mean((2, 3))


def two_maps() -> Detector:
    """The example of the guide: two maps of two channels each, after TwinLiteNet."""
    import_file(EXAMPLES / "two_maps.py")
    torch.manual_seed(0)
    return entry("two-maps").build()


USER_MADE: dict[str, Callable[[], Detector]] = {
    "torchvision's ResNet-18": ResNet18,
    "a Transformer": Transformer,
    "a pyramid with a shared tower": Pyramid,
    "two maps": two_maps,
}
