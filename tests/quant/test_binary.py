"""Weights of one bit: their values, their gradients against the formulas, and what schemes make of one bit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import quantize
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.convert import convert
from sfcore.quant.corrections.bias import channels
from sfcore.quant.cost import Profile
from sfcore.quant.estimators import ESTIMATORS
from sfcore.quant.estimators.two_stage import EDGE, Tanh, bound, scheduled, two_stage
from sfcore.quant.hooks import hooks
from sfcore.quant.methods import methods
from sfcore.quant.quantizers import QUANTIZERS, quantizers
from sfcore.quant.quantizers.binary import WeightBinarizer, entropy, power_of_two
from sfcore.quant.quantizers.uniform import FakeQuantizer
from sfcore.quant.ranges import Ranges
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.quant.scheme import BINARY, Scheme
from sfcore.runs import RunSpec

MINMAX = CALIBRATORS["minmax"]


def binarizer(weight: Tensor, per_tensor: bool = False) -> WeightBinarizer:
    """Calibrated on a weight (C, N)."""
    made = WeightBinarizer(1, (1, 1) if per_tensor else (len(weight), 1))
    made.calibrate([weight.reshape(made.scale.numel(), -1)], True, MINMAX)
    return made


def full_copy(detector: Detector) -> Detector:
    """With its norms folded, nothing rounded."""
    model = convert(detector, Scheme.parse("W8A8"))
    for _, quantizer in quantizers(model):
        quantizer.active = False
    return model


def captured_output(model: Detector, layer: nn.Module, images: Tensor) -> Tensor:
    found = list[Tensor]()
    with hooks([layer], after=lambda _, __, output: found.append(output)):
        model(images)
    return found[0]


def test_values_are_the_signs_of_trained_weights_times_a_power_of_two():
    # Mean magnitudes 2 and 0.1; log2(0.1) = -3.3.
    weight = torch.tensor([[-2.0, 0.0, 2.0, 4.0], [-0.2, 0.0, 0.0, 0.2]])
    made = binarizer(weight)
    assert made.scale.flatten().tolist() == [2.0, 0.125]
    assert made(weight).tolist() == [[-2.0, 2.0, 2.0, 2.0], [-0.125, 0.125, 0.125, 0.125]]  # 0 is on the side of +


def test_the_mean_of_a_row_is_held_where_it_was_when_calibrated():
    weight = torch.tensor([[-2.0, 0.0, 2.0, 4.0]])
    made = binarizer(weight)
    assert torch.equal(made(weight + 50.0), made(weight))
    assert made(torch.tensor([[-1.5, 0.0, 0.0, 1.5]])).tolist() == [[-2.0, 2.0, 2.0, 2.0]]  # -0.5, 1, 1, 2.5
    made.centre.zero_()  # as published
    assert made(weight).tolist() == [[-2.0, -2.0, 2.0, 2.0]]


def test_a_weight_of_one_scale_is_taken_as_a_whole():
    weight = torch.tensor([[0.0, 1.0], [-2.0, 5.0]])  # of mean magnitude 2 and mean 1
    made = binarizer(weight, per_tensor=True)
    assert made.scale.tolist() == [[2.0]] and made.centre.tolist() == [[1.0]]
    assert made(weight).tolist() == [[2.0, 2.0], [-2.0, 2.0]]


@pytest.mark.parametrize(("magnitude", "scale"), [(1.0, 1.0), (1.41, 1.0), (1.42, 2.0), (0.7, 0.5), (0.72, 1.0)])
def test_the_scale_is_the_power_of_two_nearest_in_the_logarithm(magnitude: float, scale: float):
    assert power_of_two(torch.tensor(magnitude)).item() == scale


def test_a_single_weight_in_a_row_keeps_its_sign_whatever_it_becomes_and_equal_ones_theirs():
    made = binarizer(torch.tensor([[-0.5], [0.25]]))
    assert made(torch.tensor([[-0.5], [0.25]])).tolist() == [[-0.5], [0.25]]
    assert made(torch.tensor([[0.1], [0.25]])).tolist() == [[0.5], [0.25]]
    alike = torch.full((1, 4), -0.5)
    assert binarizer(alike)(alike).tolist() == alike.tolist()


@given(
    arrays.arrays("float32", (3, 7), elements=st.floats(-100, 100, width=32, allow_subnormal=False)),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_the_same_two_values_come_with_and_without_gradients_and_at_any_time(array: object, progress: float):
    weight = torch.from_numpy(array)
    made = binarizer(weight)
    without = made(weight)
    assert torch.equal(without.abs(), made.scale.expand_as(weight))
    made.anneal(progress, "two-stage")
    learned = weight.clone().requires_grad_()
    made.scale.requires_grad_()
    out = made(learned)
    assert torch.equal(out, without)
    out.sum().backward()
    assert torch.isfinite(learned.grad).all() and torch.isfinite(made.scale.grad).all()


@pytest.mark.parametrize("progress", [0.0, 0.4, 0.5, 0.7])
def test_the_gradient_is_that_of_the_surrogate_through_mean_and_standard_deviation(progress: float):
    weight = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.3
    made = binarizer(weight).double()
    made.anneal(progress, "two-stage")
    t = 0.1 * 100**progress
    k = max(1 / t, 1.0)
    away = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def surrogate(w: Tensor) -> Tensor:
        x = (w - w.mean(1, keepdim=True) + weight.mean(1, keepdim=True)) / w.std(1, keepdim=True)
        return (away * made.scale * k * (t * x).tanh()).sum()

    learned = weight.clone().requires_grad_()
    (away * made(learned)).sum().backward()
    for place in [(0, 0), (1, 7), (2, 19)]:
        moved = torch.zeros_like(weight)
        moved[place] = 1e-6
        expected = (surrogate(weight + moved) - surrogate(weight - moved)) / 2e-6
        assert float(learned.grad[place]) == pytest.approx(float(expected), rel=1e-5, abs=1e-8)


def test_straight_through_passes_what_lies_within_one_deviation():
    x = torch.tensor([-1.1, -1.0, 0.0, 0.9, 3.0])
    assert ESTIMATORS["straight-through"](x, 0.7)(x).tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_learned_scale_gets_the_sum_of_what_its_signs_got_and_is_used_as_a_power_of_two():
    made = WeightBinarizer(1, (1, 1))
    made.set_range(torch.tensor(3.0), signed=True)  # between 2 and 4, nearer to 4 in the logarithm
    made.scale.requires_grad_()
    out = made(torch.tensor([[-1.0, 1.0]]))
    assert out.tolist() == [[-4.0, 4.0]] and made.integers.scale.item() == 4.0
    out.backward(torch.tensor([[1.0, 3.0]]))
    assert made.scale.grad.item() == pytest.approx((3.0 - 1.0) * 4 / 3)


def test_the_schedule_goes_from_a_tenth_to_ten_and_the_slope_from_the_identity_to_the_sign():
    assert [scheduled(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 1.0, 10.0])
    assert Tanh(0.1)(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([1.0, 0.990], abs=1e-3)
    assert Tanh(10.0)(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([10.0, 0.0], abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 400), st.floats(0.05, 5.0))
def test_no_layer_is_left_with_fewer_than_a_tenth_of_its_values_to_learn(seed: int, count: int, away: float):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, generator=random).sign() * away + 0.01 * torch.randn(count, generator=random)
    slope = two_stage(x, 1.0)
    assert slope.t <= 10.0
    assert float((slope(x) >= 0.0999 * max(slope.t, 1.0)).double().mean()) >= 0.1
    if slope.t < 10.0:
        assert slope.t == bound(x) == pytest.approx(EDGE / float(x.abs().kthvalue(math.ceil(0.1 * count)).values))


def test_where_many_values_are_nought_nothing_bounds_the_slope():
    assert bound(torch.tensor([0.0, 0.0, 5.0])) == math.inf and two_stage(torch.zeros(4), 1.0).t == 10.0


def test_facts_tell_entropy_before_and_after_balancing_and_what_can_be_learned():
    weight = torch.tensor([[1.0, 2.0, 3.0, -0.1], [5.0, 6.0, 7.0, 8.0]])
    made = binarizer(weight)
    facts = made.facts(weight)
    assert facts["entropy"] == pytest.approx((0.8113 + 0.0) / 2, abs=1e-4)  # a quarter, none are -
    assert facts["balanced"] == pytest.approx(1.0) and facts["updatable"] == 1.0 and facts["t"] == pytest.approx(0.1)
    made.anneal(1.0, "straight-through")
    share = float(((weight / weight.std(1, keepdim=True)).abs() <= 1).double().mean())
    assert made.facts(weight)["updatable"] == share < 1 and "t" not in made.facts(weight)
    assert entropy(torch.zeros(2, 3)) == 0.0 and FakeQuantizer(4).facts(weight) == {}


def test_a_state_is_scale_and_centre_and_comes_back():
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    made, other = binarizer(weight), WeightBinarizer(1, (4, 1))
    assert list(made.state_dict()) == ["scale", "centre", "signed"]
    other.load_state_dict(made.state_dict())
    assert torch.equal(other(weight), made(weight)) and other.known and other.signed


def test_one_bit_is_read_printed_and_given_to_weights_as_signs():
    scheme = Scheme.parse("w1a4,*.conv1=W4,late=W1")
    assert str(scheme) == "W1A4,*.conv1=W4,late=W1" and scheme == Scheme.parse(str(scheme))
    assert scheme.bits_of("middle", edge=False).weight_quantizer == BINARY
    assert scheme.bits_of("block.conv1", edge=False).weight_quantizer == "uniform"
    first = scheme.bits_of("stem", edge=True)
    assert (first.weights, first.weight_quantizer) == (8, "uniform")
    assert scheme.bits_of("late", edge=True).weights == 1  # called by its own name
    assert Scheme.parse("W8A1").bits_of("middle", edge=False).activation_quantizer == "uniform"
    for text in ("W0A8", "W8A0", "W17A8"):
        with pytest.raises(InputError, match="choose 1 to 16"):
            Scheme.parse(text)


@torch.no_grad()
def test_what_comes_out_of_a_layer_has_the_mean_and_about_the_spread_that_it_had(
    small: Detector, pixels: Tensor
) -> None:
    images, scheme = small.preprocessing.normalize(pixels), Scheme.parse("W1A8")
    full, own = (
        channels(layer, captured_output(model, layer, images))
        for model in (full_copy(small), quantize(small, scheme, [images]))
        for layer in [model.get_submodule("block.conv2")]
    )
    assert torch.allclose(own.mean(1), full.mean(1), atol=1e-3)
    ratio = own.std(1) / full.std(1)
    assert float(ratio.min()) > 0.7 and float(ratio.max()) < 1.42  # scales are powers of two


def test_where_nothing_is_to_be_corrected_biases_and_scales_are_those_of_the_weights(
    small: Detector, pixels: Tensor
) -> None:
    batches = [small.preprocessing.normalize(pixels)]
    model = quantize(small, Scheme.parse("W1A8"), batches, bias_correction=False)
    layer, full = (each.get_submodule("block.conv2") for each in (model, full_copy(small)))
    assert torch.equal(layer.bias, full.bias)
    assert torch.equal(layer.weight_quantizer.scale.flatten(), power_of_two(full.weight.abs().flatten(1).mean(1)))


@torch.no_grad()
def test_one_frame_which_tells_no_spread_of_a_single_value_leaves_scales_as_they_are(
    small: Detector, pixels: Tensor
) -> None:
    one = small.preprocessing.normalize(pixels[:1])
    layer = quantize(small, Scheme.parse("W1A8"), [one]).get_submodule("middle")
    assert torch.equal(layer.weight_quantizer.scale.flatten(), power_of_two(layer.weight.abs().mean(1)))


@pytest.mark.parametrize("scheme", ["W1A8", "W1A4-tensor", "W1A1-affine"])
def test_a_detector_is_calibrated_at_one_bit(small: Detector, pixels: Tensor, scheme: str) -> None:
    model = quantize(small, Scheme.parse(scheme), [small.preprocessing.normalize(pixels)])
    layer, kinds = model.get_submodule("block.conv1"), {name: type(q) for name, q in quantizers(model)}
    assert kinds["block.conv1.weight_quantizer"] is QUANTIZERS[BINARY]
    assert kinds["stem.weight_quantizer"] is kinds["block.conv1.input_quantizer"] is FakeQuantizer
    assert torch.equal(layer.weight_quantizer(layer.weight) > 0, layer.weight >= 0)
    rows = layer.weight_quantizer(layer.weight).flatten(1)
    scales = layer.weight_quantizer.scale.flatten().expand(len(rows))
    assert all(set(row.tolist()) == {-s, s} for row, s in zip(rows, scales.tolist(), strict=True))
    assert all(torch.isfinite(value).all() for value in model(small.preprocessing.normalize(pixels)).values())


def test_a_bit_is_counted_as_one(small: Detector) -> None:
    profile = Profile.of(small)
    wide, narrow = profile.cost(Scheme.parse("W2A8")), profile.cost(Scheme.parse("W1A8"))
    edges = profile.cost(Scheme.parse("W1A8")).average_weight_bits
    assert wide.average_weight_bits - narrow.average_weight_bits == pytest.approx(
        sum(layer.weights for layer in profile.layers if not layer.edge) / sum(each.weights for each in profile.layers)
    )
    assert 1 < edges < wide.average_weight_bits and narrow.bops < wide.bops


def test_activations_of_one_bit_are_refused_where_values_have_signs_and_the_rules_that_help_are_given(
    small: Detector, pixels: Tensor
) -> None:
    batches = [small.preprocessing.normalize(pixels)]
    with pytest.raises(InputError, match="have negative values, too: add these layers") as told:
        quantize(small, Scheme.parse("W1A1"), batches)
    rules = str(told.value).partition("(")[2].partition(")")[0]
    assert "attention.scores=A8" in rules and "block.conv2=A8" not in rules  # one is signed, the other after a ReLU
    model = quantize(small, Scheme.parse(f"W1A1{rules}"), batches)
    assert dict(quantizers(model))["block.conv2.input_quantizer"].limits == (0, 1)


def test_ranges_for_choosing_bits_refuse_signs_which_must_be_tuned(small: Detector, pixels: Tensor) -> None:
    ranges = Ranges.of(small, Scheme.parse("W1A8"), [small.preprocessing.normalize(pixels)])
    assert all(isinstance(quantizer, FakeQuantizer) for _, quantizer in quantizers(ranges.model))
    with pytest.raises(InputError, match=r"1 bit: such weights must be tuned, so choose 2 or more"):
        ranges.quantized(Scheme.parse("W4A4,middle=W1"))
    assert ranges.quantized(Scheme.parse("W4A4"))


def test_engines_that_know_no_single_bits_refuse_them() -> None:
    for target in ("portable", "qnn", "tensorrt-adds"):
        with pytest.raises(InputError, match=r"runs no weights of 1 bits: choose"):
            Scheme.parse(f"W1A8-{target}")


def tuner(detector: Detector, pixels: Tensor, **options: object) -> Tuner:
    recipe = methods()["dir-net"](iterations=6, batch=2, check_every=3, **options)
    model = quantize(detector, Scheme.parse("W1A8"), [detector.preprocessing.normalize(pixels[:16])])
    return Tuner(detector, model, pixels[:16], pixels[16:], recipe, seed=3)


def test_tuning_stopped_between_steps_goes_on_to_the_bit(small: Detector, pixels: Tensor) -> None:
    whole, first, second = (tuner(small, pixels) for _ in range(3))
    whole_events = [whole.step() for _ in range(6)]
    for _ in range(4):
        first.step()
    second.load_state(first.state())
    assert [second.step() for _ in range(2)] == whole_events[4:]
    for name, value in whole.quantized.state_dict().items():
        assert torch.equal(second.quantized.state_dict()[name], value), name


def test_steps_anneal_the_slope_and_say_so_at_the_first_one_and_at_checks(small: Detector, pixels: Tensor) -> None:
    made = tuner(small, pixels)
    events = [made.step() for _ in range(6)]
    assert [place for place, event in enumerate(events) if "weights" in event] == [0, 2, 5]
    seen = [events[place]["weights"]["middle"]["t"] for place in (0, 2, 5)]
    assert seen == pytest.approx([min(scheduled(i / 6), seen[-1]) for i in (0, 2, 5)])
    assert "stem" not in events[0]["weights"]  # it has 8 bits


def test_the_estimator_is_the_recipes_and_decides_what_is_learned(small: Detector, pixels: Tensor) -> None:
    two, straight = tuner(small, pixels), tuner(small, pixels, estimator="straight-through")
    start = two.quantized.get_submodule("middle").weight.clone()
    for _ in range(2):
        two.step(), straight.step()
    moved = [each.quantized.get_submodule("middle").weight - start for each in (two, straight)]
    assert moved[0].abs().max() > 0 and moved[1].abs().max() > 0 and not torch.equal(*moved)
    with pytest.raises(InputError, match="there is no estimator 'none'"):
        tuner(small, pixels, estimator="none")


def test_a_rounding_that_is_not_there_is_not_learned() -> None:
    spec = RunSpec("ganet-tiny", ("scenes:2",), "W1A8", "adaround")
    with pytest.raises(InputError, match=r"W1A8 leaves no rounding of weights to learn, .* such as dir-net"):
        spec.validate()
