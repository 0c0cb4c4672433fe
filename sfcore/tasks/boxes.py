"""What boxes in images and boxes in space share: padded batches of them with a class and a confidence each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from sfcore.errors import InputError
from sfcore.tasks.base import Index, Prediction


@dataclass(frozen=True)
class PaddedBoxes(Prediction):
    """A batch of sets of boxes; a slot without a box is NaN.

    Attributes:
        box: (B, L, D) the numbers of each box, see the subclass; NaN where a slot is empty.
        score: (B, L) confidence in [0, 1]; 0 where empty.
        label: (B, L) long, the class of each box: its place in ``names``; 0 where empty.
        names: of the classes.
    """

    numbers: ClassVar[int]

    box: Tensor
    score: Tensor
    label: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.box.ndim != 3 or self.box.shape[-1] != self.numbers:
            raise ValueError(f"box must be (B, L, {self.numbers}), got {tuple(self.box.shape)}")
        if not self.score.shape == self.label.shape == self.box.shape[:2]:
            shapes = f"score {tuple(self.score.shape)} and label {tuple(self.label.shape)}"
            raise ValueError(f"{shapes} must be {tuple(self.box.shape[:2])}, as the boxes are")

    def __len__(self) -> int:
        return self.box.shape[0]

    def __getitem__(self, index: Index) -> Self:
        index = [index] if isinstance(index, int) else index
        return replace(self, box=self.box[index], score=self.score[index], label=self.label[index])

    @property
    def present(self) -> Tensor:
        """(B, L) bool: which slots hold a box."""
        return ~self.box.isnan().any(-1)

    def counts(self) -> Tensor:
        """(B,) how many boxes each frame has."""
        return self.present.sum(1)

    def to(self, device: torch.device | str) -> Self:
        return replace(self, box=self.box.to(device), score=self.score.to(device), label=self.label.to(device))

    def compact(self) -> Self:
        """The same boxes without the slots that are empty in every frame (one is kept if all are)."""
        used = self.present.any(0)
        used[:1] |= ~used.any()
        return replace(self, box=self.box[:, used], score=self.score[:, used], label=self.label[:, used])

    def objects(self, index: int) -> list[np.ndarray]:
        """The boxes of one frame, each (D + 2,): its numbers, its label, its score."""
        box, label, score = self.box[index], self.label[index].to(self.box.dtype), self.score[index].to(self.box.dtype)
        rows = torch.cat([box, label[:, None], score[:, None]], 1)[self.present[index]]
        return list(rows.detach().cpu().numpy())

    def scores(self, index: int) -> list[float]:
        return [float(score) for score in self.score[index][self.present[index]]]

    def labels(self, index: int) -> list[str]:
        """The class name of each of :meth:`objects`."""
        return [self.names[int(label)] for label in self.label[index][self.present[index]]]

    def in_classes(self, names: tuple[str, ...]) -> Self:
        """The same boxes with their classes among other names, whatever the case of letters; without those of others.

        Raises:
            InputError: none of the names is a class of these boxes.
        """
        known = {name.casefold(): place for place, name in enumerate(names)}
        places = torch.tensor([known.get(name.casefold(), -1) for name in self.names], device=self.label.device)
        if not (places >= 0).any():
            raise InputError(
                f"the detector knows {_some(self.names)}, and labelled are {_some(names)}: choose a dataset that has "
                "a class of the same name"
            )
        label = places[self.label]
        box, score = self.box.masked_fill((label < 0).unsqueeze(-1), torch.nan), self.score.masked_fill(label < 0, 0.0)
        return replace(self, box=box, score=score, label=label.clamp_min(0), names=names)

    @classmethod
    def padded(cls, frames: Sequence[Sequence[np.ndarray]]) -> tuple[Tensor, Tensor, Tensor]:
        """Box, score and label of some frames' :meth:`objects`, padded to the fullest frame.

        Raises:
            InputError: an object is not (D + 2,) finite numbers.
        """
        slots = max(1, max((len(each) for each in frames), default=0))
        rows = np.full((len(frames), slots, cls.numbers + 2), np.nan, np.float32)
        for b, objects in enumerate(frames):
            for k, each in enumerate(objects):
                values = np.asarray(each, np.float64)
                if values.shape != (cls.numbers + 2,) or not np.isfinite(values).all():
                    raise InputError(
                        f"box {k} of frame {b} is {values.tolist()}: it must be {cls.numbers + 2} finite numbers, "
                        "the last two its label and its score"
                    )
                rows[b, k] = values
        found = torch.from_numpy(rows)
        label, score = found[..., -2].nan_to_num(0).long(), found[..., -1].nan_to_num(0)
        return found[..., : cls.numbers].clone(), score, label


def cat(batches: Sequence[PaddedBoxes]) -> PaddedBoxes:
    """Join batches of boxes of the same classes; narrower ones are padded with empty slots."""
    slots = max(each.box.shape[1] for each in batches)

    def pad(t: Tensor, value: float) -> Tensor:
        return torch.cat([t, t.new_full((t.shape[0], slots - t.shape[1], *t.shape[2:]), value)], 1)

    return replace(
        batches[0],
        box=torch.cat([pad(each.box, float("nan")) for each in batches]),
        score=torch.cat([pad(each.score, 0.0) for each in batches]),
        label=torch.cat([pad(each.label, 0) for each in batches]),
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
