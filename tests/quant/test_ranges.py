"""Models at any bits, put together from one look at the frames: to the bit what ``quantize`` makes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.quantizers import Quantizer, full_precision, quantizers
from sfcore.quant.ranges import Ranges
from sfcore.quant.transforms import TRANSFORMS, Transform
from tests.detectors.small import Small

GRIDS = ["", "-affine", "-tensor", "-tensor-affine"]
SCHEMES = ["W4A4", "W8A16,heads=4,block.*=W2", "W8A3,middle=W3A5,attention.*=6,place=A2", "W2A2,product=A7,stem=2"]


class Rare(Small):
    """A layer of it is called for a single frame alone."""

    def __init__(self) -> None:
        super().__init__()
        self.rare = nn.Linear(8, 8)

    def forward(self, images: Tensor) -> Outputs:
        found = super().forward(images)
        if len(images) == 1:
            found["logits"] = found["logits"] + self.rare(found["logits"].mean().expand(1, 8)).mean()
        return found


@pytest.fixture
def batches(small: Small, pixels: Tensor) -> list[Tensor]:
    return list(small.preprocessing.normalize(pixels[:8]).split(4))


@pytest.fixture
def ranges(small: Small, batches: list[Tensor]) -> Ranges:
    return Ranges.of(small, Scheme.parse("W8A8"), batches)


def made(text: str) -> Scheme:
    return Scheme.parse(text)


def state(model: Detector) -> dict[str, Any]:
    """All that a model consists of: its tensors, and what its quantizers hold beside them."""
    found: dict[str, Any] = {name: (q.bits, q.active, q.known, q.signed) for name, q in quantizers(model)}
    return found | model.state_dict()


def assert_same(one: Detector, other: Detector, images: Tensor) -> None:
    first, second = state(one), state(other)
    assert list(first) == list(second)
    for name, value in first.items():
        if isinstance(value, Tensor):
            assert torch.equal(value.nan_to_num(-1.0), second[name].nan_to_num(-1.0)), name
            assert torch.equal(value.isnan(), second[name].isnan()), name
        else:
            assert value == second[name], name
    expected = outputs_of(other, images)
    assert all(torch.equal(value, expected[head]) for head, value in outputs_of(one, images).items())


@torch.no_grad()
def outputs_of(model: Detector, images: Tensor) -> Outputs:
    found: Outputs = model(images)
    return found


def at_once(works: Sequence[Any]) -> list[Any]:
    """What each of some works gives, all begun at the same time in threads of their own."""
    gate, found = threading.Barrier(len(works)), dict[int, Any]()

    def carry_out(number: int) -> None:
        gate.wait()
        found[number] = works[number]()

    threads = [threading.Thread(target=carry_out, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[number] for number in range(len(works))]


@pytest.mark.parametrize("grid", GRIDS)
def test_models_are_those_of_quantize_to_the_bit_in_any_order(grid: str, small: Small, batches: list[Tensor]) -> None:
    ranges = Ranges.of(small, made(f"W8A8{grid}"), batches)
    schemes = [replace(made(text), per_tensor="tensor" in grid, affine="affine" in grid) for text in SCHEMES]
    expected = {scheme: quantize(small, scheme, batches, bias_correction=False) for scheme in schemes}
    for scheme in [*schemes, *reversed(schemes)]:
        assert_same(ranges.quantized(scheme), expected[scheme], batches[0])


@pytest.mark.parametrize(("weights", "activations"), [("minmax", "percentile"), ("percentile", "minmax")])
def test_other_calibrators_and_transforms_are_those_of_quantize_too(
    weights: str, activations: str, small: Small, batches: list[Tensor]
) -> None:
    given: dict[str, Any] = {"weights": weights, "activations": activations, "transforms": ()}
    ranges = Ranges.of(small, made("W8A8"), batches, **given)
    expected = quantize(small, made("W3A4"), batches, bias_correction=False, **given)
    assert_same(ranges.quantized(made("W3A4")), expected, batches[0])


@pytest.mark.parametrize("grid", ["", "-affine"])
def test_a_layer_that_no_frame_leads_to_has_no_range_at_any_bits(grid: str, pixels: Tensor) -> None:
    torch.manual_seed(0)
    rare = Rare().eval().requires_grad_(False)
    batches = list(rare.preprocessing.normalize(pixels[:8]).split(4))
    ranges = Ranges.of(rare, made(f"W8A8{grid}"), batches)
    model = ranges.quantized(made(f"W4A4{grid}"))
    expected = quantize(rare, made(f"W4A4{grid}"), batches, bias_correction=False)
    assert not model.rare.input_quantizer.known and model.rare.weight_quantizer.known
    assert_same(model, expected, batches[0])
    assert_same(model, expected, batches[0][:1])


def test_the_bits_that_ranges_are_made_with_do_not_matter(small: Small, batches: list[Tensor], ranges: Ranges) -> None:
    others = Ranges.of(small, made("W2A3,middle=5"), batches)
    assert others.key == ranges.key
    assert_same(others.quantized(made("W4A4,heads=8")), ranges.quantized(made("W4A4,heads=8")), batches[0])


def test_a_model_is_its_owners_alone(ranges: Ranges, batches: list[Tensor]) -> None:
    first, copy = ranges.quantized(made("W4A4")), ranges.copy()
    before, output = {name: value.clone() for name, value in first.state_dict().items()}, outputs_of(first, batches[0])
    again = ranges.quantized(made("W4A4"))
    for spoilt in (again, copy):
        for parameter in spoilt.parameters():
            parameter.data.fill_(7.0)
    ranges.put(copy, dict.fromkeys(ranges.names, 2))
    ranges.quantized(made("W2A2"))
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())
    assert_same(first, ranges.quantized(made("W4A4")), batches[0])
    assert all(torch.equal(value, output[head]) for head, value in outputs_of(first, batches[0]).items())


def test_without_bits_a_quantizer_rounds_nothing_and_gets_its_range_back_later(
    ranges: Ranges, batches: list[Tensor]
) -> None:
    model = ranges.quantized(made("W3A3"))
    rounded = outputs_of(model, batches[0])
    with full_precision(model):
        full = outputs_of(model, batches[0])
    ranges.put(model, dict.fromkeys(ranges.names))
    assert all(torch.equal(value, full[head]) for head, value in outputs_of(model, batches[0]).items())
    assert not torch.equal(full["column"], rounded["column"])
    ranges.put(model, ranges.bits(made("W3A3")))
    assert all(torch.equal(value, rounded[head]) for head, value in outputs_of(model, batches[0]).items())


def test_quantizers_that_get_no_new_bits_keep_theirs(ranges: Ranges, batches: list[Tensor]) -> None:
    model = ranges.quantized(made("W4A4"))
    ranges.put(model, {"middle.weight_quantizer": 2, "middle.input_quantizer": 6})
    assert_same(model, ranges.quantized(made("W4A4,middle=W2A6")), batches[0])


def test_each_quantizer_has_the_bits_of_its_layer(ranges: Ranges) -> None:
    bits = ranges.bits(made("W4A5,middle=W2A6,product=A7,heads=W9"))
    assert set(bits) == set(ranges.names)
    assert (bits["middle.weight_quantizer"], bits["middle.input_quantizer"]) == (2, 6)
    assert (bits["product.left_quantizer"], bits["product.right_quantizer"]) == (7, 7)
    assert (bits["stem.weight_quantizer"], bits["stem.input_quantizer"]) == (8, 8)  # a first layer
    assert (bits["block.conv1.weight_quantizer"], bits["block.conv1.input_quantizer"]) == (4, 5)
    assert (bits["place.weight_quantizer"], bits["place.input_quantizer"]) == (9, 8)
    weights, activations = ranges.quantizers_of("attention.scores")
    assert weights == () and set(activations) == {"attention.scores.left_quantizer", "attention.scores.right_quantizer"}


def test_bits_of_a_layer_that_there_is_not_are_refused(ranges: Ranges) -> None:
    with pytest.raises(InputError, match="gives bits to nothing, but no quantized layer is called so"):
        ranges.quantized(made("W4A4,nothing=8"))


@pytest.mark.parametrize("text", ["W4A4-affine", "W4A4-tensor"])
def test_a_scheme_on_other_grids_is_refused_rather_than_made_on_these(text: str, ranges: Ranges) -> None:
    with pytest.raises(InputError, match=rf"{text} has other grids than W8A8"):
        ranges.quantized(made(text))


def test_frames_with_values_that_are_not_finite_are_refused_as_quantize_does(
    small: Small, batches: list[Tensor]
) -> None:
    batches[1][0, 0, 0, 0] = float("inf")
    said = "holds values that are not finite"
    with pytest.raises(InputError, match=said):
        quantize(small, made("W4A4"), batches, bias_correction=False)
    with pytest.raises(InputError, match=said):
        Ranges.of(small, made("W8A8"), batches).quantized(made("W4A4"))


@pytest.mark.parametrize("what", ["weights", "activations", "transforms"])
def test_an_unknown_name_is_refused(what: str, small: Small, batches: list[Tensor]) -> None:
    given: dict[str, Any] = {what: ("guess",) if what == "transforms" else "guess"}
    with pytest.raises(InputError, match=r"there is no (calibrator|transform) 'guess'"):
        Ranges.of(small, made("W8A8"), batches, **given)


def test_the_key_tells_whatever_changes_ranges_and_nothing_else(
    small: Small, batches: list[Tensor], ranges: Ranges
) -> None:
    same = Ranges.of(small, made("W8A8"), [batch.clone() for batch in batches]).key
    keys = [
        ranges.key,
        *(Ranges.of(small, made(f"W8A8{grid}"), batches).key for grid in GRIDS[1:]),
        Ranges.of(small, made("W8A8"), batches, weights="minmax").key,
        Ranges.of(small, made("W8A8"), batches, activations="minmax").key,
        Ranges.of(small, made("W8A8"), batches, transforms=()).key,
        Ranges.of(small, made("W8A8"), batches[:1]).key,
        Ranges.of(small, made("W8A8"), [torch.cat(batches)]).key,  # a moving average depends on batches
        Ranges.of(small, made("W8A8"), [batches[0], batches[1] + 1e-6]).key,
    ]
    small.middle.weight.data[0, 0] += 1e-6
    keys.append(Ranges.of(small, made("W8A8"), batches).key)
    assert same == ranges.key and len(set(keys)) == len(keys)


def test_threads_at_the_same_time_get_the_models_that_they_asked_for(
    small: Small, batches: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(quantizer: Quantizer, *given: Any) -> None:
        set_range(quantizer, *given)
        time.sleep(0.001)  # all other threads go first

    set_range = Quantizer.set_range
    shared, fresh = (Ranges.of(small, made("W8A8"), batches, "minmax", "minmax") for _ in range(2))
    monkeypatch.setattr(Quantizer, "set_range", slowly)
    models = {text: shared.copy() for text in SCHEMES}
    at_once([lambda text=text: shared.put(models[text], shared.bits(made(text))) for text in SCHEMES])
    again = at_once([lambda text=text: shared.quantized(made(text)) for text in SCHEMES])
    for (text, model), other in zip(models.items(), again, strict=True):
        assert_same(model, fresh.quantized(made(text)), batches[0])
        assert_same(model, other, batches[0])


class Doubling(Transform):
    """Its fit changes what the network computes."""

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> None:
        model.middle.weight.data.mul_(2.0)


@pytest.fixture
def doubling() -> Iterator[str]:
    TRANSFORMS.register("doubling")(Doubling)
    yield "doubling"
    del TRANSFORMS._things["doubling"], TRANSFORMS._owners["doubling"]


def test_a_transform_whose_fit_changes_what_is_computed_is_refused(
    doubling: str, small: Small, batches: list[Tensor]
) -> None:
    with pytest.raises(InputError, match="cannot be quantized faithfully"):
        Ranges.of(small, made("W8A8"), batches, transforms=(doubling,))
