"""Targets and quantized adds: what a scheme says of them, and what they make of a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.layers import Add
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.cost import Profile
from sfcore.quant.layers import QuantLayer
from sfcore.quant.layers.add import QuantAdd
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import Bits
from sfcore.quant.targets import TARGETS
from tests.detectors.small import Small
from tests.quant.test_ranges import assert_same

EVERY = ("W8A8-portable", "W4A4-portable-adds", "W4A4-adds", "W8A8-tensorrt", "W4A8-tensor-affine-qnn")


@pytest.fixture
def batches(small: Small, pixels: Tensor) -> list[Tensor]:
    return list(small.preprocessing.normalize(pixels[:8]).split(4))


def calibrated(small: Small, scheme: str, batches: list[Tensor]) -> Small:
    model = quantize(small, Scheme.parse(scheme), batches, bias_correction=False)
    assert isinstance(model, Small)
    return model


@pytest.mark.parametrize(
    ("text", "said"),
    [("W8A8-portable", None), ("W8A8-portable-adds", "W8A8-adds-portable"), ("W4A4-adds", None),
     ("w8a8-tensorrt,conv=A8", "W8A8-tensorrt,conv=A8"),
     ("W4A8-qnn-affine-tensor,heads=A16", "W4A8-tensor-affine-qnn,heads=A16")],
)  # fmt: skip
def test_text_and_files_come_back_as_they_were(text: str, said: str | None, tmp_path: Path) -> None:
    scheme = Scheme.parse(text)
    assert str(scheme) == (said or text) and Scheme.parse(str(scheme)) == scheme
    scheme.save(tmp_path / "scheme.json")
    assert Scheme.load(tmp_path / "scheme.json") == scheme


@pytest.mark.parametrize(
    ("text", "said"),
    [("W4A4-tensorrt", "tensorrt runs no weights of 4 bits: choose 8"), ("W8A8-affine-tensorrt", "no zero points"),
     ("W8A8-tensorrt,heads=A16", "tensorrt runs no activations of 16 bits"), ("W3A8-qnn", "choose 4, 8, 16"),
     ("W8A8-portable-qnn", "at most one target of .*portable.*qnn.*tensorrt"), ("W8A8-abacus", "no scheme")],
)  # fmt: skip
def test_what_a_target_cannot_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Scheme.parse(text)


def test_an_unknown_target_is_refused_where_no_text_was_read() -> None:
    with pytest.raises(InputError, match="abacus"):
        Scheme(8, 8, target="abacus")


def test_layers_get_what_the_target_says() -> None:
    assert Scheme.parse("W8A8").bits_of("conv", edge=False) == Bits(8, 8)
    assert Scheme.parse("W4A4-portable").bits_of("conv", edge=False) == Bits(4, 4, integer_bias=True)
    assert Scheme.parse("W8A8-tensorrt").bits_of("conv", edge=False) == Bits(8, 8, signed=True)
    assert Scheme.parse("W4A8-affine-qnn").bits_of("conv", edge=True) == Bits(8, 8, affine=True, integer_bias=True)
    said = {text: Scheme.parse(text).quantizes_adds for text in ("W8A8-portable", *EVERY[1:])}
    assert said == {"W8A8-portable": False} | dict.fromkeys(EVERY[1:], True)


@pytest.mark.parametrize("name", TARGETS.names())
def test_every_target_runs_8_bits(name: str) -> None:
    assert Scheme(8, 8, target=name).profile is TARGETS[name] and TARGETS[name].description.endswith(".")


def rounded_linear(integer_bias: bool = True) -> QuantLinear:
    """Steps of 0.5 for the input, and of 0.25 and 0.5 for the weights of its two channels."""
    linear = nn.Linear(3, 2)
    linear.bias.data = torch.tensor([0.3, -0.4])
    layer = QuantLinear(linear, lambda _: Bits(8, 8, integer_bias=integer_bias))
    layer.input_quantizer.set_range(torch.tensor(0.5), signed=True)
    layer.weight_quantizer.set_range(torch.tensor([0.25, 0.5]), signed=True)
    return layer


def test_a_bias_is_rounded_to_the_product_of_both_steps() -> None:
    layer = rounded_linear()
    assert layer.bias_step().tolist() == [0.125, 0.25]
    assert layer.rounded_bias().tolist() == [0.25, -0.5]  # 2.4 steps are 2, and 1.6 are 2
    assert layer(torch.zeros(1, 3)).tolist() == [[0.25, -0.5]]


def test_the_gradient_of_a_rounded_bias_is_its_own() -> None:
    layer = rounded_linear()
    layer.bias.requires_grad_(True)
    (layer.rounded_bias() * torch.tensor([2.0, 3.0])).sum().backward()
    assert layer.bias.grad.tolist() == [2, 3] and layer.input_quantizer.scale.grad is None
    torch.testing.assert_close(layer.rounded_bias().detach(), torch.tensor([0.25, -0.5]))


def test_a_bias_stays_as_it_is_where_nothing_is_rounded() -> None:
    layer = rounded_linear()
    with full_precision(layer):
        assert layer.rounded_bias() is layer.bias
    with full_precision(layer, only="input_quantizer"):
        assert layer.rounded_bias() is layer.bias
    layer.input_quantizer.set_unknown()
    assert layer.bias_step() is None and layer.rounded_bias() is layer.bias
    assert (other := rounded_linear(integer_bias=False)).rounded_bias() is other.bias


def test_biases_of_one_step_a_tensor_are_of_one_step() -> None:
    layer = QuantLinear(nn.Linear(3, 2), lambda _: Bits(8, 8, per_tensor=True, integer_bias=True))
    layer.input_quantizer.set_range(torch.tensor(0.5), signed=False)
    layer.weight_quantizer.set_range(torch.tensor(0.25), signed=True)
    assert layer.bias_step().tolist() == [0.125, 0.125]


def test_all_ranges_are_signed_where_the_target_knows_no_others(small: Small, batches: list[Tensor]) -> None:
    assert {q.signed for _, q in quantizers(calibrated(small, "W8A8", batches))} == {True, False}
    assert {q.signed for _, q in quantizers(calibrated(small, "W8A8-tensorrt", batches))} == {True}


def test_both_inputs_of_an_add_are_rounded_where_the_scheme_says_so(small: Small, batches: list[Tensor]) -> None:
    assert isinstance(calibrated(small, "W4A4-portable", batches).block.add, Add)
    add = calibrated(small, "W4A4-adds", batches).block.add
    assert isinstance(add, QuantAdd) and add.left_quantizer.bits == add.right_quantizer.bits == 4
    add.left_quantizer.set_range(torch.tensor(0.5), signed=True)
    add.right_quantizer.set_range(torch.tensor(2.0), signed=False)
    assert add(torch.tensor([0.6, -9.0]), torch.tensor([3.1, 99.0])).tolist() == [4.5, 26.0]


def test_a_rule_may_name_an_add(small: Small, batches: list[Tensor]) -> None:
    scheme = Scheme.parse("W4A4-adds,block.add=A8")
    model, ranges = calibrated(small, str(scheme), batches), Ranges.of(small, scheme, batches)
    assert model.block.add.left_quantizer.bits == 8 and model.block.conv2.input_quantizer.bits == 4
    assert_same(ranges.quantized(scheme), model, batches[0])
    profile = Profile.of(small)
    assert profile.cost(scheme) == profile.cost(Scheme.parse("W4A4"))
    assert profile.size_bytes(scheme) == profile.size_bytes(Scheme.parse("W4A4"))


def test_a_rule_names_no_add_that_is_not_quantized(small: Small, batches: list[Tensor]) -> None:
    scheme = Scheme.parse("W4A4,block.add=A8")
    for refuse in (lambda: quantize(small, scheme, batches), lambda: Profile.of(small).cost(scheme)):
        with pytest.raises(InputError, match=r"block\.add, but no quantized layer is called so"):
            refuse()


@pytest.mark.parametrize("text", EVERY)
def test_models_of_a_target_are_those_of_quantize_at_any_bits(text: str, small: Small, batches: list[Tensor]) -> None:
    scheme = Scheme.parse(text)
    ranges = Ranges.of(small, scheme, batches)
    assert_same(ranges.quantized(scheme), calibrated(small, text, batches), batches[0])
    with pytest.raises(InputError, match="other grids"):
        ranges.quantized(Scheme.parse("W8A8"))


def test_without_a_target_nothing_is_new(small: Small, batches: list[Tensor]) -> None:
    model, state = calibrated(small, "W4A4", batches), small.state_dict()
    assert not any(module.integer_bias for module in model.modules() if isinstance(module, QuantLayer))
    assert not any(".add." in name for name in model.state_dict()) and type(small.block.add) is Add
    assert not any(".add" in name for name in state)  # weights of anybody's have the keys that they had
