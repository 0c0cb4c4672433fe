"""What every detector promises, as checks that run on any: the seven families here and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Image, Outputs
from sfcore.tasks.lanes import Lanes

TOLERANCE = 1e-3  # of an output alone against the same in a batch, relative to its largest value
DIMENSIONS = {"grid": 4, "query": 3, "image": 2}


class Broken(Exception):
    """A promise that does not hold; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Subject:
    """What a check looks at.

    Attributes:
        detector: in evaluation mode.
        images: (B, 3, H, W) input.
        outputs: of ``images``.
        noisy: the same with strong noise on every head, so that decode meets what it should never see.
    """

    detector: Detector
    images: Tensor
    outputs: Outputs
    noisy: Outputs


Check = Callable[[Subject], None]
CHECKS: dict[str, Check] = {}


def promise(text: str) -> Callable[[Check], Check]:
    """Decorator: the check below raises :class:`Broken` where the promise ``text`` does not hold."""

    def add(check: Check) -> Check:
        CHECKS[text] = check
        return check

    return add


@torch.no_grad()
def subject(detector: Detector, images: Sequence[Image], seed: int = 0) -> Subject:
    """``detector`` looking at ``images`` (RGB uint8, at least two)."""
    generator = torch.Generator().manual_seed(seed)
    inputs = detector.preprocess(images)
    outputs = detector(inputs.clone())

    def noise(value: Tensor) -> Tensor:
        level = value.std().clamp_min(1)
        return torch.randn(value.shape, generator=generator).to(value.device) * level

    return Subject(detector, inputs, outputs, {name: value + noise(value) for name, value in outputs.items()})


def broken(check: Check, on: Subject) -> str | None:
    """What is wrong, or None where the promise holds. Whatever the detector raises counts as broken."""
    try:
        check(on)
    except Broken as problem:
        return str(problem)
    except Exception as error:  # a user's detector may raise anything
        return f"{type(error).__name__}: {error}"
    return None


def expect(holds: bool | Tensor, problem: str) -> None:
    if not holds:
        raise Broken(problem)


@promise("the table of heads describes the outputs")
def table_of_heads(on: Subject) -> None:
    names = [head.name for head in on.detector.heads]
    expect(names == list(on.outputs), f"heads are {names}, outputs are {list(on.outputs)}: same names, same order")
    for head in on.detector.heads:
        value, channels = on.outputs[head.name], len(head.channels)
        shape = f"{head.name} is {tuple(value.shape)}"
        expect(len(head.units) == channels, f"{head.name} has {channels} channels and {len(head.units)} units")
        expect(value.ndim == DIMENSIONS[head.layout], f"{shape}: layout {head.layout!r} has another number of axes")
        expect(len(value) == len(on.images), f"{shape}: {len(on.images)} images were given")
        found = value.shape[1 if head.layout == "grid" else -1]
        expect(found == channels, f"{shape}: the table says {channels} channels")
        if head.layout == "grid":
            expect(head.stride is not None, f"{head.name} is a grid and has no stride")
            rows = on.detector.preprocessing.size[0] // (head.stride or 1)
            expect(value.shape[2] == rows, f"{shape}: stride {head.stride} makes {rows} rows")


@promise("every head has a confidence: a probability that fits its output")
def confidences(on: Subject) -> None:
    for head in on.detector.heads:
        role = on.detector.head(head.confidence).role
        own = head.confidence == head.name  # a map may say both where something is and whether it is there
        expect(own or role == "confidence", f"the confidence of {head.name} is {head.confidence}, whose role is {role}")
        confidence = on.detector.confidence(on.outputs, head.name)
        low, high = float(confidence.min()), float(confidence.max())
        expect(low >= 0 and high <= 1, f"the confidence of {head.name} runs from {low:.3g} to {high:.3g}")
        torch.broadcast_shapes(confidence.shape, on.outputs[head.name].shape)


@promise("an image's outputs do not depend on the others in its batch")
def images_are_independent(on: Subject) -> None:
    with torch.no_grad():
        alone = on.detector(on.images[:1])
    for name, value in alone.items():
        together = on.outputs[name][:1]
        largest = (value - together).abs().max()
        expect(largest <= TOLERANCE * together.abs().max().clamp_min(1), f"{name} differs by {largest:.3g}")


@promise("running it leaves its input as it is")
def input_is_left_alone(on: Subject) -> None:
    images = on.images.clone()
    with torch.no_grad():
        on.detector(images)
    expect(torch.equal(images, on.images), "forward writes into its input: let it work on a copy (images.clone())")


@promise("decoded lanes lie in the frame, on its rows")
def lanes_in_frame(on: Subject) -> None:
    height, width = on.detector.frame
    for outputs in (on.outputs, on.noisy):
        lanes = on.detector.decode(outputs)
        expect(isinstance(lanes, Lanes), f"decode returns {type(lanes).__name__}: it must return Lanes")
        expect(lanes.size == (height, width), f"lanes are for {lanes.size}, the frame is {(height, width)}")
        expect(torch.equal(lanes.rows, on.detector.rows), "lanes have other rows than the detector")
        expect(((lanes.rows >= 0) & (lanes.rows <= height - 1)).all(), f"rows leave 0 to {height - 1}")
        known = lanes.x[lanes.valid]
        expect(((known >= 0) & (known <= width - 1)).all(), f"x leaves 0 to {width - 1}: set NaN there")


@promise("decoding a batch is decoding its images")
def decode_is_per_image(on: Subject) -> None:
    for outputs in (on.outputs, on.noisy):
        together = on.detector.decode(outputs)
        for image in range(len(on.images)):
            alone = on.detector.decode({name: value[image : image + 1] for name, value in outputs.items()})
            one, other = alone.polylines(0), together.polylines(image)
            expect(len(one) == len(other), f"image {image}: {len(one)} lanes alone, {len(other)} in the batch")
            same = all(a.shape == b.shape and (a == b).all() for a, b in zip(one, other, strict=True))
            expect(same, f"image {image}: its lanes have other points alone than in the batch")


@promise("road points pass finite gradients to semantics")
def road_points_have_gradients(on: Subject) -> None:
    asked = {name: value.clone().requires_grad_() for name, value in on.outputs.items()}
    points = on.detector.road_points(asked)
    shapes = tuple(points.position.shape), tuple(points.weight.shape)
    expect(shapes[0] == shapes[1], f"positions are {shapes[0]}, weights {shapes[1]}")
    expect(not points.weight.requires_grad, "weights carry a gradient: detach the outputs that they come from")
    points.position.sum().backward()
    for head in on.detector.heads:
        gradient = asked[head.name].grad
        expect(gradient is None or torch.isfinite(gradient).all(), f"the gradient of {head.name} is not finite")
    reached = [h.name for h in on.detector.heads if h.role == "semantics" and asked[h.name].grad is not None]
    expect(
        bool(reached),
        "no head of role 'semantics' moves a road point: give that role to what places lanes, to a map of lane lines "
        "too, which then is its own confidence",
    )


@promise("reading outputs does not change them")
def outputs_are_left_alone(on: Subject) -> None:
    before = {name: value.clone() for name, value in on.outputs.items()}
    on.detector.decode(on.outputs)
    on.detector.road_points(on.outputs)
    changed = [name for name, value in on.outputs.items() if not torch.equal(value, before[name])]
    expect(not changed, f"decode or road_points wrote into {', '.join(changed)}: work on a copy")


@promise("forward is tensor code that exports")
def forward_exports(on: Subject) -> None:
    exported = torch.export.export(on.detector, (on.images,)).module()
    with torch.no_grad():
        outputs = exported(on.images)
    for name, value in on.outputs.items():
        largest = (outputs[name] - value).abs().max()
        expect(largest <= TOLERANCE * value.abs().max().clamp_min(1), f"{name} differs by {largest:.3g} once exported")
