"""A task that is no lanes, on an input that is no image: how loud each of three instruments of a recording is.

One file, as a user would write it: a kind of answer, a kind of input, a detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs
from sfcore.detectors.registry import register
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.tasks import base
from sfcore.tasks.base import Agreement, Distortion, Index, Part, Points, Prediction, Task, Words
from sfcore.tasks.counts import Counts

LENGTH, NOTES = 64, 3
CLOSE = 0.5  # decibels by which a found loudness may be off


@dataclass(frozen=True)
class Loudness(Prediction):
    """(B, 3) decibels of each instrument, and how sure that is."""

    level: Tensor
    sure: Tensor

    def __len__(self) -> int:
        return len(self.level)

    def __getitem__(self, index: Index) -> Self:
        index = [index] if isinstance(index, int) else index
        return replace(self, level=self.level[index], sure=self.sure[index])

    def to(self, device: torch.device | str) -> Self:
        return replace(self, level=self.level.to(device), sure=self.sure.to(device))

    def counts(self) -> Tensor:
        return (self.sure > 0.5).sum(1)

    def objects(self, index: int) -> list[np.ndarray]:
        return [np.array([place, value]) for place, value in enumerate(self.level[index].tolist())]

    def scores(self, index: int) -> list[float]:
        return self.sure[index].tolist()


@dataclass(frozen=True)
class LoudnessDistortion(Distortion):
    """(B, 3) by which each instrument became louder or quieter."""

    moved: Tensor

    def parts(self) -> dict[str, Tensor]:
        return {"louder": self.moved.clamp_min(0).sum(1), "quieter": (-self.moved).clamp_min(0).sum(1)}


@base.register
class Mixing(Task[Loudness]):
    """How loud the instruments of a recording are, in decibels."""

    name = "mixing"
    parts = (Part("louder", "#E69F00"), Part("quieter", "#CC79A7"))
    words = Words(
        "instrument", "instruments", "Loudness Distortion", "db", "recording", "Sum of decibels.",
        "Share within half a decibel.", "Mean decibels per recording.", "Mean change.", "quieter",
    )  # fmt: skip

    def join(self, batches: Sequence[Loudness]) -> Loudness:
        return Loudness(torch.cat([b.level for b in batches]), torch.cat([b.sure for b in batches]))

    def empty(self, prediction: Loudness) -> Loudness:
        return replace(prediction, level=torch.zeros_like(prediction.level))

    def distortion(self, reference: Loudness, other: Loudness) -> LoudnessDistortion:
        return LoudnessDistortion(other.level - reference.level)

    def agreement(self, reference: Loudness, other: Loudness) -> Agreement:
        moved = (other.level - reference.level).abs()
        tp = int((moved < CLOSE).sum())
        wrong = moved.numel() - tp
        score = float(self.distortion(reference, other).score.mean()) if len(other) else 0.0
        return Agreement.of(len(other), Counts(tp, wrong, wrong), score, float(moved.mean()), self.words.unit)

    def points(self, detector: Detector, outputs: Outputs) -> Points:
        return Points(outputs["level"], outputs["sure"].detach().sigmoid())

    def draw(self, image: Image, prediction: Loudness, index: int = 0) -> Image:
        picture = image.copy()
        for place, value in enumerate(prediction.level[index].tolist()):
            height = int(min(abs(value) * 8, len(picture) - 1))
            picture[len(picture) - height :, place * 40 : place * 40 + 20] = (86, 180, 233)
        return picture

    def draw_moved(
        self, image: Image, reference: Loudness, other: Loudness, moved: Distortion, index: int = 0,
        tolerance: float | None = None,
    ) -> Image:  # fmt: skip
        return self.draw(self.draw(image, reference, min(index, len(reference) - 1)), other, index)

    def restored(self, objects: list[Any], about: Mapping[str, Any]) -> Loudness:
        level = torch.tensor([[value for _, value in objects]])
        return Loudness(level, torch.ones_like(level))


@dataclass(frozen=True)
class Recording(InputSpec):
    """(64,) samples in a .npy file, kept as 16-bit integers."""

    kind: ClassVar[str] = "recording"
    formats: ClassVar[tuple[str, ...]] = (".npy",)
    size: tuple[int, int] = (1, LENGTH)

    def read(self, path: Path) -> np.ndarray:
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no recording ({error}): it must be a .npy file") from error

    def stack(self, frames: Sequence[np.ndarray]) -> Tensor:
        return torch.stack([torch.from_numpy((frame * 1000).astype(np.int16)) for frame in frames])

    def normalize(self, stacked: Tensor) -> Tensor:
        return stacked.float() / 1000

    def example(self, count: int = 1, generator: torch.Generator | None = None) -> Tensor:
        if generator is None:
            return torch.zeros(count, LENGTH, dtype=torch.int16)
        return torch.randint(-1000, 1000, (count, LENGTH), generator=generator, dtype=torch.int16)

    def size_of(self, frame: np.ndarray) -> tuple[int, int]:
        return 1, len(frame)

    def canvas(self, frame: np.ndarray) -> Image:
        picture = np.full((120, 2 * LENGTH, 3), 30, np.uint8)
        for place, value in enumerate(frame):
            picture[int(60 + np.clip(value, -1, 1) * 50), 2 * place : 2 * place + 2] = 255
        return picture

    def described(self) -> str:
        return f"{LENGTH} samples"


@register("mixer")
class Mixer(Detector):
    """Two heads on a small network of one-dimensional convolutions."""

    task_name = "mixing"
    heads = (
        Head("sure", "confidence", ("a", "b", "c"), ("logit",) * 3, "sure", "image", description="Whether it plays."),
        Head("level", "semantics", ("a", "b", "c"), ("db",) * 3, "sure", "image", description="How loud it is."),
    )
    preprocessing = Recording()

    def __init__(self) -> None:
        super().__init__()
        state = torch.random.get_rng_state()
        torch.manual_seed(7)
        self.first, self.norm = nn.Conv1d(1, 8, 5, 2, 2), nn.BatchNorm1d(8)
        self.second = nn.Conv1d(8, 16, 5, 2, 2)
        self.sure, self.level = nn.Linear(16, NOTES), nn.Linear(16, NOTES)
        torch.random.set_rng_state(state)

    def forward(self, inputs: Tensor) -> Outputs:
        x = torch.relu(self.norm(self.first(inputs.unsqueeze(1))))
        x = torch.relu(self.second(x)).mean(2)
        return {"sure": self.sure(x), "level": 10 * self.level(x)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["sure"].sigmoid()

    def decode(self, outputs: Outputs) -> Loudness:
        return Loudness(outputs["level"], outputs["sure"].sigmoid())
