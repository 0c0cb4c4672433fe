"""What every detector is to the rest of the project: a task, an input, heads, forward, confidence, decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sfcore.devices import flush_denormals
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.inputs.base import Frame, InputSpec
from sfcore.inputs.images import Preprocessing
from sfcore.passes import forward_passes
from sfcore.tasks.base import TASKS, Prediction, Task
from sfcore.tasks.base import Points as RoadPoints
from sfcore.tasks.lanes.rows import even_rows

__all__ = [  # with what a detector's file needs beside them
    "Detector", "Head", "Image", "Outputs", "Preprocessing", "RoadPoints", "even_rows",
]  # fmt: skip

flush_denormals()  # in every process that computes, before it does; most threads are started later

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
        decoded: whether decode reads it; noise on a head that it does not read moves nothing.
    """

    name: str
    role: Literal["semantics", "confidence"]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    confidence: str
    layout: Literal["grid", "query", "image"]
    stride: int | None = None
    description: str = ""
    decoded: bool = True


class Detector(nn.Module):
    """A detector: a network, a table of heads, and how its outputs become a prediction of its task.

    A subclass sets the attributes and implements :meth:`forward`, :meth:`confidence` and :meth:`decode`. Everything
    else in the project (noise, quantization, losses, selection, app) works from these and from its task alone.

    Attributes:
        task_name: in the registry of tasks.
        heads: the table of heads.
        preprocessing: how frames become inputs.
        full_precision: of a quantized copy, what of it stays in full precision, and why, by the names of its modules.
        transformed_by: of a quantized copy, the names of the transforms that restructured it, in their order.
        transform_notes: of a copy that was just calibrated, what these did to it, as sentences.

    A detector of lanes has two more:

    Attributes:
        frame: (height, width) of the image that decoded lanes refer to: the whole image, resized.
        rows: (R,) the image rows, in pixels of ``frame``, that decode samples.
    """

    task_name: str = "lanes"  # the first task; detectors were written before there were others
    heads: tuple[Head, ...]
    preprocessing: InputSpec
    full_precision: Mapping[str, str] = MappingProxyType({})
    transformed_by: tuple[str, ...] = ()
    transform_notes: tuple[str, ...] = ()
    frame: tuple[int, int]
    rows: Tensor

    @property
    def task(self) -> Task[Any]:
        """What it answers with. Raises InputError: there is no task of its name."""
        return TASKS[self.task_name]

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
        """:meth:`forward` with hooks, as of any module: one pass, in a thread that flushes denormals."""
        if torch.compiler.is_compiling():  # a thread's setting is no part of a graph, nor is what a pass knows
            return super().__call__(*inputs, **named)
        flush_denormals()
        with forward_passes():
            return super().__call__(*inputs, **named)

    def preprocess(self, frames: Sequence[Frame]) -> Tensor:
        """Frames (images: RGB uint8, any size) to the network's input, on the detector's device."""
        flush_denormals()  # a thread's first large operation is often here
        return self.preprocessing(frames).to(self.device)

    def forward(self, inputs: Tensor) -> Outputs:
        """The network's input, (B, 3, H, W) for images, to the raw output of each head. Pure tensor code that exports.

        Subclasses call it as they like.
        """
        raise NotImplementedError

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        """The confidence in [0, 1] that belongs to ``head``, broadcastable to its output; no gradient is cut."""
        raise NotImplementedError

    def decode(self, outputs: Outputs) -> Any:
        """Head outputs to a prediction of the detector's task: the published post-process, for the whole batch at once.

        A set of lanes is in ``frame``.
        """
        raise NotImplementedError

    def candidates(self, outputs: Outputs) -> Any:
        """Of a detector that ranks its objects: the prediction with those that :meth:`decode` finds too unsure, for
        metrics that go through all confidences."""
        return self.decode(outputs)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        """Of a detector of lanes: the semantics as differentiable points on the road, before a discrete step of decode.

        Positions, in pixels at 640 px image width, depend on the outputs only through differentiable operations and
        have the same layout (N points in the same order) for every output of the same batch size, so that two outputs
        of the same images can be subtracted.
        """
        raise NotImplementedError

    def corners(self, outputs: Outputs) -> RoadPoints:
        """Of a detector of boxes: the semantics as differentiable corners of a box in every cell, before any discrete
        step of decode.

        Positions are in the task's unit, in the same layout for every output of the same batch size, so that two
        outputs of the same frames can be subtracted; the weight of a cell's corners is its confidence.
        """
        raise NotImplementedError

    def positives(self, outputs: Outputs, least: float) -> dict[str, Tensor]:
        """Of a detector of heat maps: the maps that its own sure answers would be taught by.

        Args:
            least: confidence that a sure one exceeds.

        Returns:
            By the name of a heat map's head, (B, C, h, w) in [0, 1]: the Gaussians of the detector's training around
            the cells where it peaks, after the suppression of neighbours that decoding does; 1 at these cells.
            Nothing where no head is a heat map.
        """
        return {}

    @torch.no_grad()
    def detect(self, frames: Sequence[Frame], batch: int = 8, unsure: bool = False) -> list[Any]:
        """The prediction about each frame, in that frame's own coordinates: one batch of one per frame.

        Args:
            unsure: take all :meth:`candidates`.

        Example:
            >>> from sfcore.datasets.images import find_images, read_images
            >>> from sfcore.detectors.registry import create
            >>> from sfcore.resources import sample_data
            >>> images = read_images(find_images([sample_data() / "scenes"], limit=2))
            >>> [len(found.objects(0)) for found in create("ganet-tiny").detect(images)]
            [5, 3]
        """
        found: list[Prediction] = []
        for start in range(0, len(frames), batch):
            group = frames[start : start + batch]
            predictions = (self.candidates if unsure else self.decode)(self(self.preprocess(group)))
            found += [predictions[i].resized(self.preprocessing.size_of(frame)) for i, frame in enumerate(group)]
        return found
