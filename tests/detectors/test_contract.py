"""Every registered detector keeps its promises, and a detector that breaks one is told which."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs, RoadPoints
from sfcore.detectors.contract import CHECKS, Check, Subject, broken, checks_of, subject
from sfcore.detectors.registry import Entry, create, entries, entry
from sfcore.tasks.base import TASKS
from sfcore.tasks.lanes import Lanes
from tests.detectors.frames import FRAMES, IMAGES
from tests.detectors.user_made import USER_MADE


@pytest.fixture(scope="module", params=[*(each.name for each in entries()), *USER_MADE])
def detector(request: pytest.FixtureRequest) -> Subject:
    """With its shipped weights where there are some."""
    torch.manual_seed(0)
    if request.param in USER_MADE:
        return subject(USER_MADE[request.param]().eval(), IMAGES)
    found = entry(request.param)
    if _large(found) and not request.config.getoption("--every-run"):
        pytest.skip("only with --every-run")
    return subject(create(request.param) if found.weights else found.build().eval(), FRAMES[found.input.kind])


def _large(each: Entry) -> bool:
    """The published networks that read points take minutes for all promises."""
    return each.input.kind == "points" and not each.weights


ALL: dict[str, Check] = CHECKS | {text: check for name in TASKS for text, check in TASKS[name].promises.items()}


@pytest.mark.parametrize("text", ALL)
def test_promise(text: str, detector: Subject):
    own = checks_of(detector.detector)
    if text in own:  # others are promises of other tasks
        assert broken(own[text], detector) is None


class Liar(Detector):
    """GANet with one promise broken at a time."""

    def __init__(self, honest: Detector) -> None:
        super().__init__()
        self.honest = honest
        self.heads, self.preprocessing = honest.heads, honest.preprocessing
        self.frame, self.rows = honest.frame, honest.rows

    def forward(self, images: Tensor) -> Outputs:
        return self.honest(images)

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return self.honest.confidence(outputs, head)

    def decode(self, outputs: Outputs) -> Lanes:
        return self.honest.decode(outputs)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return self.honest.road_points(outputs)


class Renamed(Liar):
    def forward(self, images: Tensor) -> Outputs:
        return {f"my_{name}": value for name, value in self.honest(images).items()}


class Mixing(Liar):
    def forward(self, images: Tensor) -> Outputs:
        return self.honest(images - images.mean(0, keepdim=True))


class RawConfidence(Liar):
    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs[self.head(head).confidence]


class OtherFrame(Liar):
    def decode(self, outputs: Outputs) -> Lanes:
        return self.honest.decode(outputs).resized((100, 200))


class FirstImageOnly(Liar):
    def decode(self, outputs: Outputs) -> Lanes:
        first = {name: value[:1].expand_as(value) for name, value in outputs.items()}
        return self.honest.decode(first)


class Idle(Liar):
    """Says that decode reads no keypoints, which it does where they are there."""

    def __init__(self, honest: Detector) -> None:
        super().__init__(honest)
        self.heads = tuple(replace(head, decoded=head.name != "kpts") for head in honest.heads)

    def decode(self, outputs: Outputs) -> Lanes:
        return self.honest.decode({"kpts": torch.full_like(outputs["offset"][:, :1], -9.0), **outputs})


class Detached(Liar):
    def road_points(self, outputs: Outputs) -> RoadPoints:
        return self.honest.road_points({name: value * 1 for name, value in outputs.items() if name != "offset"})


class Writing(Liar):
    def decode(self, outputs: Outputs) -> Lanes:
        outputs["kpts"].sigmoid_()
        return self.honest.decode(outputs)


@pytest.mark.parametrize(
    ("liar", "promise", "said"),
    [
        (Renamed, "the table of heads describes the outputs", "my_kpts"),
        (Mixing, "an image's outputs do not depend on the others in its batch", "differs by"),
        (RawConfidence, "every head has a confidence: a probability that fits its output", "runs from"),
        (OtherFrame, "decoded lanes lie in the frame, on its rows", "the frame is (360, 640)"),
        (FirstImageOnly, "decoding a batch is decoding its images", "image 1"),
        (Idle, "decoding does without the heads that it is said not to read", "without kpts"),
        (Detached, "points pass finite gradients to semantics", "KeyError"),
        (Writing, "reading outputs does not change them", "kpts"),
    ],
)
def test_a_broken_promise_is_named(liar: type[Liar], promise: str, said: str):
    assert said in (broken(ALL[promise], subject(liar(create("ganet-tiny")), IMAGES)) or "")
