"""What every lane detector is to the rest of the project: heads, forward, confidence, decode, road points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from sfcore.devices import flush_denormals
from sfcore.errors import InputError
from sfcore.tasks.lanes import Lanes

flush_denormals()  # in every process that computes, before it does; most threads are started later

Image = np.ndarray  # (height, width, 3) uint8, RGB
Outputs = dict[str, Tensor]  # head name -> its raw output, batch first


@dataclass(frozen=True)
class Head:
    """One row of a detector's table of heads.

    Attributes:
        name: key of the head in the detector's outputs.
        role: "semantics" (a quantity with a physical meaning) or "confidence".
        channels: what each channel is called; channels are dimension 1 of a grid, the last of queries.
        units: the unit of each channel.
        confidence: the head whose output says where these semantics are used; itself for a confidence, and for a map
            that says both where lanes are and whether they are there.
        layout: "grid" (B, C, H, W), "query" (B, Q, C) or "image" (B, C).
        stride: pixels of the network's input per cell of a grid; None for other layouts.
        description: one sentence for people.
    """

    name: str
    role: Literal["semantics", "confidence"]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    confidence: str
    layout: Literal["grid", "query", "image"]
    stride: int | None = None
    description: str = ""


@dataclass(frozen=True)
class RoadPoints:
    """A detector's semantics as points on the road, differentiable in the head outputs.

    Attributes:
        position: (B, N) coordinates in pixels at 640 px image width.
        weight: (B, N) in [0, 1]: the confidence of what each point belongs to, 0 where it means nothing.
            Weights carry no gradient.
    """

    position: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input.

    Attributes:
        size: (height, width) of the input.
        mean, std: per channel, in units of pixel value / 255, in the order of ``order``.
        order: "rgb" or "bgr".
        top: share of the image's height cut off at the top before resizing.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: Literal["rgb", "bgr"] = "rgb"
    top: float = 0.0

    def __call__(self, images: Sequence[Image]) -> Tensor:
        """Images (RGB, uint8, any size) to a (B, 3, height, width) float tensor."""
        return self.normalize(self.resize(images))

    def resize(self, images: Sequence[Image]) -> Tensor:
        """Images (RGB, uint8, any size) to (B, 3, height, width) uint8 in the network's channel order.

        Raises:
            InputError: an image is not (height, width, 3) uint8.
        """
        return torch.stack([self._resize(image) for image in images])

    def normalize(self, pixels: Tensor) -> Tensor:
        """What :meth:`resize` gave to the network's float input."""
        mean, std = (torch.tensor(v, device=pixels.device).reshape(3, 1, 1) for v in (self.mean, self.std))
        return (pixels.float() / 255 - mean) / std

    def _resize(self, image: Image) -> Tensor:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"an image has shape {image.shape} and type {image.dtype}: it must be (height, width, 3) uint8 RGB, "
                "with pixels"
            )
        image = image[min(round(self.top * image.shape[0]), image.shape[0] - 1) :]  # a row is left of the lowest image
        resized = cv2.resize(np.ascontiguousarray(image), (self.size[1], self.size[0]))
        resized = resized if self.order == "rgb" else resized[..., ::-1]
        return torch.from_numpy(resized.transpose(2, 0, 1).copy())


class Detector(nn.Module):
    """A lane detector: a network, a table of heads, and how its outputs become lanes.

    A subclass sets the attributes and implements :meth:`forward`, :meth:`confidence`, :meth:`decode` and
    :meth:`road_points`. Everything else in the project (noise, quantization, losses, selection, app) works
    from these alone.

    Attributes:
        heads: the table of heads.
        preprocessing: how images become inputs.
        frame: (height, width) of the image that decoded lanes refer to: the whole image, resized.
        rows: (R,) the image rows, in pixels of ``frame``, that decode samples.
    """

    heads: tuple[Head, ...]
    preprocessing: Preprocessing
    frame: tuple[int, int]
    rows: Tensor
    full_precision: Mapping[str, str] = MappingProxyType({})

    def head(self, name: str) -> Head:
        """The row ``name`` of the table of heads.

        Raises:
            InputError: there is no such head.
        """
        for head in self.heads:
            if head.name == name:
                return head
        raise InputError(f"there is no head {name!r}: choose one of {', '.join(h.name for h in self.heads)}")

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a published checkpoint under this network's keys; where several codes publish the same
        network, a subclass renames the others' keys here. What it does not know it leaves as it is."""
        return state

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """:meth:`forward` with hooks, as of any module, in a thread that flushes denormals."""
        if not torch.compiler.is_compiling():  # a thread's setting is no part of a graph
            flush_denormals()
        return super().__call__(*inputs, **named)

    def preprocess(self, images: Sequence[Image]) -> Tensor:
        """Images (RGB uint8, any size) to the (B, 3, H, W) input, on the detector's device."""
        flush_denormals()  # a thread's first large operation is often here
        return self.preprocessing(images).to(self.device)

    def forward(self, images: Tensor) -> Outputs:
        """(B, 3, H, W) input to the raw output of each head. Pure tensor code that exports."""
        raise NotImplementedError

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        """The confidence in [0, 1] that belongs to ``head``, broadcastable to its output; no gradient is cut."""
        raise NotImplementedError

    def decode(self, outputs: Outputs) -> Lanes:
        """Head outputs to lanes in ``frame``: the published post-process, for the whole batch at once."""
        raise NotImplementedError

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """The semantics as differentiable points on the road, before any discrete step of decode.

        Positions depend on the outputs only through differentiable operations and have the same layout
        (N points in the same order) for every output of the same batch size, so that two outputs of the
        same images can be subtracted.
        """
        raise NotImplementedError

    @torch.no_grad()
    def detect(self, images: Sequence[Image], batch: int = 8) -> list[Lanes]:
        """The lanes of each image, in that image's own pixels: one batch of one per image."""
        found: list[Lanes] = []
        for start in range(0, len(images), batch):
            group = images[start : start + batch]
            lanes = self.decode(self(self.preprocess(group)))
            found += [lanes[i].resized((g.shape[0], g.shape[1])) for i, g in enumerate(group)]
        return found


def even_rows(height: int, step: float, start: float = 0.0) -> Tensor:
    """Rows from ``start`` to the bottom of an image of ``height`` px, the last on its last pixel row."""
    count = int((height - 1 - start) / step) + 1
    return (height - 1) - step * torch.arange(count - 1, -1, -1, dtype=torch.float32)


def off_image_to_nan(lanes: Lanes) -> Lanes:
    """Drop points left or right of the image."""
    inside = (lanes.x >= 0) & (lanes.x <= lanes.size[1] - 1)
    return replace(lanes, x=torch.where(inside, lanes.x, torch.full_like(lanes.x, float("nan"))))
