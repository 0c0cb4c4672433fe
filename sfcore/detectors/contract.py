"""What every detector promises, as checks that run on any: those here and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.inputs.base import Frame
from sfcore.promises import Broken, expect

TOLERANCE = 1e-3  # of an output alone against the same in a batch, relative to its largest value
DIMENSIONS = {"grid": 4, "query": 3, "image": 2}


@dataclass(frozen=True)
class Subject:
    """What a check looks at.

    Attributes:
        detector: in evaluation mode.
        images: (B, ...) input: (B, 3, H, W) of images.
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


def checks_of(detector: Detector) -> dict[str, Check]:
    """All that a detector promises: what every one does, and what its task asks beside that."""
    return {**CHECKS, **detector.task.promises}


@torch.no_grad()
def subject(detector: Detector, frames: Sequence[Frame] | None, seed: int = 0) -> Subject:
    """``detector`` looking at ``frames``, at least two (images: RGB uint8); at random inputs where there are none."""
    generator = torch.Generator().manual_seed(seed)
    if frames is None:
        spec = detector.preprocessing
        inputs = spec.normalize(spec.example(2, generator)).to(detector.device)
    else:
        inputs = detector.preprocess(frames)
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


@promise("the table of heads describes the outputs")
def table_of_heads(on: Subject) -> None:
    """Names, channels, layouts and strides are those of the outputs."""
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
    """Each confidence lies in [0, 1] and broadcasts to its head."""
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
    """An image alone gives what it gives in a batch, but for rounding."""
    with torch.no_grad():
        alone = on.detector(on.images[:1])
    for name, value in alone.items():
        together = on.outputs[name][:1]
        largest = (value - together).abs().max()
        expect(largest <= TOLERANCE * together.abs().max().clamp_min(1), f"{name} differs by {largest:.3g}")


@promise("running it leaves its input as it is")
def input_is_left_alone(on: Subject) -> None:
    """Forward writes nothing into its input."""
    images = on.images.clone()
    with torch.no_grad():
        on.detector(images)
    same = (images == on.images) | (images.isnan() & on.images.isnan())  # points are padded with NaN
    expect(bool(same.all()), "forward writes into its input: let it work on a copy (images.clone())")


@promise("decoding a batch is decoding its images")
def decode_is_per_image(on: Subject) -> None:
    """An image's outputs alone decode to what they do in a batch."""
    things = on.detector.task.words.plural
    for outputs in (on.outputs, on.noisy):
        together = on.detector.decode(outputs)
        for image in range(len(on.images)):
            alone = on.detector.decode({name: value[image : image + 1] for name, value in outputs.items()})
            one, other = alone.objects(0), together.objects(image)
            expect(len(one) == len(other), f"image {image}: {len(one)} {things} alone, {len(other)} in the batch")
            expect(_alike(one, other), f"image {image}: its {things} are others alone than in the batch")


@promise("decoding does without the heads that it is said not to read")
def idle_heads_are_idle(on: Subject) -> None:
    """Outputs without the heads that are not ``decoded`` decode to the same."""
    read = {head.name: on.noisy[head.name] for head in on.detector.heads if head.decoded}
    idle = ", ".join(on.noisy.keys() - read)
    without, together = on.detector.decode(read), on.detector.decode(on.noisy)
    for image in range(len(on.images)):
        same = _alike(without.objects(image), together.objects(image))
        expect(
            same, f"image {image} decodes to others without {idle}: leave decoded=False out of the head that is read"
        )


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two images' things are the same ones, number by number."""
    if len(one) != len(other):
        return False
    return all(a.shape == b.shape and (a == b).all() for a, b in zip(one, other, strict=True))


@promise("points pass finite gradients to semantics")
def points_have_gradients(on: Subject) -> None:
    """Points are finite, reach a semantic head, and their weights carry no gradient."""
    asked = {name: value.clone().requires_grad_() for name, value in on.outputs.items()}
    points = on.detector.task.points(on.detector, asked)
    shapes = tuple(points.position.shape), tuple(points.weight.shape)
    expect(shapes[0] == shapes[1], f"positions are {shapes[0]}, weights {shapes[1]}")
    expect(not points.weight.requires_grad, "weights carry a gradient: detach the outputs that they come from")
    points.position.sum().backward()
    for head in on.detector.heads:
        gradient = asked[head.name].grad
        expect(gradient is None or torch.isfinite(gradient).all(), f"the gradient of {head.name} is not finite")
    things = on.detector.task.words.plural
    reached = [h.name for h in on.detector.heads if h.role == "semantics" and asked[h.name].grad is not None]
    expect(
        bool(reached),
        f"no head of role 'semantics' moves a point: give that role to what places {things}, to a map of them too, "
        "which then is its own confidence",
    )


@promise("reading outputs does not change them")
def outputs_are_left_alone(on: Subject) -> None:
    """Neither decode nor points write into the outputs."""
    before = {name: value.clone() for name, value in on.outputs.items()}
    on.detector.decode(on.outputs)
    on.detector.task.points(on.detector, on.outputs)
    changed = [name for name, value in on.outputs.items() if not torch.equal(value, before[name])]
    expect(not changed, f"decode or what gives points wrote into {', '.join(changed)}: work on a copy")


@promise("forward is tensor code that exports")
def forward_exports(on: Subject) -> None:
    """The exported program computes the same."""
    exported = torch.export.export(on.detector, (on.images,)).module()
    with torch.no_grad():
        outputs = exported(on.images)
    for name, value in on.outputs.items():
        largest = (outputs[name] - value).abs().max()
        expect(largest <= TOLERANCE * value.abs().max().clamp_min(1), f"{name} differs by {largest:.3g} once exported")
