"""A detector small enough to work out by hand what noise on each of its heads does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Head, Outputs, even_rows
from sfcore.tasks.lanes import Lanes


class Posts(Detector):
    """Lanes are vertical lines: "place" is their column in px, "logit" above 0 draws them, "idle" does nothing."""

    heads = (
        Head("logit", "confidence", ("lane",), ("logit",), "logit", "query"),
        Head("place", "semantics", ("column",), ("px",), "logit", "query"),
        Head("idle", "semantics", ("nothing", "at all"), ("none",) * 2, "logit", "image"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.frame = (360, 640)
        self.rows = even_rows(360, 10.0, start=180.0)
        self.scale = nn.Parameter(torch.ones(()))

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        lane = outputs["logit"].sigmoid()
        return lane.amax(1) if self.head(head).layout == "image" else lane

    def decode(self, outputs: Outputs) -> Lanes:
        x = outputs["place"].expand(-1, -1, len(self.rows))
        drawn = outputs["logit"] > 0
        return Lanes(torch.where(drawn, x, torch.nan), outputs["logit"].sigmoid()[..., 0], self.rows, self.frame)


@pytest.fixture
def detector() -> Detector:
    return Posts()


@pytest.fixture
def outputs() -> Outputs:
    """Six images with two lanes drawn and one slot not."""
    count = 6
    place = torch.tensor([200.0, 440.0, 320.0]).view(1, 3, 1).repeat(count, 1, 1)
    place += torch.arange(count).view(-1, 1, 1)
    return {
        "logit": torch.tensor([4.0, 2.0, -6.0]).view(1, 3, 1).repeat(count, 1, 1),
        "place": place,
        "idle": torch.ones(count, 2),
    }
