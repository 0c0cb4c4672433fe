"""Images: cut, resized and normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from sfcore.datasets.images import FORMATS, read_file, read_image
from sfcore.devices import constant
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.inputs.augment import augment
from sfcore.inputs.base import InputSpec

GREY = 127  # of what a network does not see
MEGAPIXELS = 25  # of an image that somebody sends; decoded, it takes three bytes a pixel


@dataclass(frozen=True)
class Preprocessing(InputSpec):
    """How an image becomes the network's input.

    Attributes:
        size: (height, width) of the input.
        mean, std: per channel, in units of pixel value / 255, in the order of ``order``.
        order: "rgb" or "bgr".
        top: share of the image's height cut off at the top before resizing.
    """

    kind: ClassVar[str] = "image"
    noun: ClassVar[str] = "image"
    samples: ClassVar[str] = "scenes"
    formats: ClassVar[tuple[str, ...]] = tuple(FORMATS)

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: Literal["rgb", "bgr"] = "rgb"
    top: float = 0.0

    def read(self, path: Path) -> Image:
        """(height, width, 3) uint8 RGB. Raises InputError: see :func:`sfcore.datasets.images.read_image`."""
        return read_image(path)

    def check(self, path: Path) -> None:
        """Decode it. Raises InputError: it is no image, or has more than :data:`MEGAPIXELS`."""
        read_file(path, MEGAPIXELS * 10**6)

    def stack(self, frames: Sequence[Image]) -> Tensor:
        """Images (RGB, uint8, any size) to (B, 3, height, width) uint8 in the network's channel order.

        Raises:
            InputError: an image is not (height, width, 3) uint8.
        """
        return torch.stack([self._resized(image) for image in frames])

    def picture(self, stacked: Tensor) -> Image:
        """An image that :meth:`stack` makes ``stacked`` of, (3, height, width) uint8; grey above where that is cut."""
        pixels = stacked.permute(1, 2, 0).cpu().numpy()
        pixels = pixels if self.order == "rgb" else pixels[..., ::-1]
        height, above = self.size[0], 0
        while round(self.top * (height + above)) > above:  # one row more moves the cut by one or none
            above += 1
        return np.concatenate([np.full((above, *pixels.shape[1:]), GREY, np.uint8), pixels])

    def normalize(self, stacked: Tensor) -> Tensor:
        """(B, 3, height, width) uint8 to the network's float input."""
        mean, std = (constant(v, stacked.device).reshape(3, 1, 1) for v in (self.mean, self.std))
        return (stacked.float() / 255 - mean) / std

    def example(self, count: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """(count, 3, height, width) uint8."""
        shape: Any = (count, 3, *self.size)
        if generator is None:
            return torch.zeros(shape, dtype=torch.uint8)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    def augment(self, inputs: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
        """See :func:`sfcore.inputs.augment.augment`."""
        return augment(inputs, generator, strength)

    def size_of(self, frame: Image) -> tuple[int, int]:
        height, width = frame.shape[:2]
        return height, width

    def canvas(self, frame: Image) -> Image:
        """The image itself."""
        return frame

    def described(self) -> str:
        return f"{self.size[1]} × {self.size[0]} px"

    def _resized(self, image: Image) -> Tensor:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"an image has shape {image.shape} and type {image.dtype}: it must be (height, width, 3) uint8 RGB, "
                "with pixels"
            )
        image = image[min(round(self.top * image.shape[0]), image.shape[0] - 1) :]  # a row is left of the lowest image
        resized = cv2.resize(np.ascontiguousarray(image), (self.size[1], self.size[0]))
        resized = resized if self.order == "rgb" else resized[..., ::-1]
        return torch.from_numpy(resized.transpose(2, 0, 1).copy())
