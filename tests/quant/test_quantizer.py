"""The fake quantizer and schemes against hand-computed cases."""

from __future__ import annotations

import copy

import pytest
import torch

from sfcore.errors import InputError
from sfcore.quant.quantizers import full_precision
from sfcore.quant.quantizers.uniform import FakeQuantizer, limits
from sfcore.quant.scheme import Bits, Scheme


def quantizer(bits: int, scale: float, signed: bool = True) -> FakeQuantizer:
    made = FakeQuantizer(bits)
    made.set_range(torch.tensor(scale), signed)
    return made


def test_rounds_and_clamps_to_the_integers_times_the_step():
    x = torch.tensor([-9.0, -0.26, 0.24, 0.26, 3.6, 9.0])
    assert quantizer(4, 0.5)(x).tolist() == [-4.0, -0.5, 0.0, 0.5, 3.5, 3.5]
    assert quantizer(4, 0.5, signed=False)(x).tolist() == [0.0, 0.0, 0.0, 0.5, 3.5, 7.5]


@pytest.mark.parametrize("bits", range(2, 17))
def test_has_two_to_the_bits_values(bits: int):
    low, high = limits(bits, signed=True)
    assert high - low + 1 == 2**bits
    x = torch.arange(low, high + 1).float()
    assert torch.equal(quantizer(bits, 1.0)(x), x)


def test_gradients_are_those_of_learned_step_size_quantization():
    made = quantizer(4, 0.5)
    made.scale.requires_grad_()
    x = torch.tensor([0.3, 10.0, -10.0], requires_grad=True)
    made(x).backward(torch.ones(3))
    assert x.grad.tolist() == [1.0, 0.0, 0.0]  # straight through inside the range, none outside
    # inside: round(0.6) - 0.6 = 0.4; outside: the largest integer 7 and the smallest -8
    assert made.scale.grad.item() == pytest.approx(0.4 + 7 - 8)


@pytest.mark.parametrize("signed", [True, False])
def test_a_saved_range_is_a_step_size_and_a_truth_and_comes_back(signed: bool):
    made = quantizer(4, 0.5, signed)
    state = made.state_dict()
    assert list(state) == ["scale", "signed"]
    assert state["signed"].dtype == torch.bool and state["signed"].shape == () and bool(state["signed"]) is signed
    other = quantizer(4, 1.0, not signed)
    other.load_state_dict(state)
    assert other.signed is signed and other.limits == made.limits == copy.deepcopy(other).limits
    assert list(state) == ["scale", "signed"]  # as it was given


def test_a_state_without_its_signedness_is_refused():
    with pytest.raises(RuntimeError, match="signed"):
        FakeQuantizer(4).load_state_dict({"scale": torch.tensor(0.5)})


def test_a_range_that_is_not_known_is_not_known_of_a_saved_one_either():
    made, other, x = quantizer(4, 0.5), quantizer(4, 0.5), torch.tensor([0.3])
    made.set_unknown()
    other.load_state_dict(made.state_dict())
    assert not other.known and other(x).item() == copy.deepcopy(other)(x).item() == x.item()
    other.load_state_dict(quantizer(4, 0.5).state_dict())
    assert other.known and other(x).item() == 0.5


def affine(bits: int, scale: list[float], zero: list[float]) -> FakeQuantizer:
    made = FakeQuantizer(bits, (len(scale), 1), affine=True)
    made.set_range(torch.tensor(scale), False, torch.tensor(zero))
    return made


def test_a_zero_point_shifts_the_integers_and_keeps_zero():
    x = torch.tensor([[-9.0, -0.6, 0.0, 0.3, 9.0], [-9.0, -0.6, 0.0, 0.3, 9.0]])
    # 4 bits: integers 0 to 15 stand for (0 - 3) · 0.5 to (15 - 3) · 0.5, and for 0 to 15
    assert affine(4, [0.5, 1.0], [3.0, 0.0])(x).tolist() == [[-1.5, -0.5, 0.0, 0.5, 6.0], [0.0, 0.0, 0.0, 0.0, 9.0]]


def test_a_learned_zero_point_is_rounded_and_moved_by_what_is_clipped():
    made = affine(4, [0.5], [3.2])
    made.requires_grad_()
    x = torch.tensor([[0.3, 10.0, -10.0]], requires_grad=True)
    out = made(x)
    assert out.tolist() == [[0.5, 6.0, -1.5]]
    out.backward(torch.tensor([[1.0, 1.0, 3.0]]))
    assert x.grad.tolist() == [[1.0, 0.0, 0.0]]
    # inside: round(0.6) - 0.6 = 0.4; outside: the ends 15 - 3 and 0 - 3
    assert made.scale.grad.item() == pytest.approx(0.4 + 12 - 3 * 3)
    assert made.zero.grad.item() == pytest.approx(-0.5 * (1 + 3))  # one more moves both ends down by a step


@pytest.mark.parametrize("zero", [None, 5.0])
def test_the_same_values_come_with_and_without_gradients(zero: float | None):
    made = FakeQuantizer(4, (3, 1), affine=zero is not None)
    made.set_range(torch.tensor([0.1, 0.2, 0.3]), zero is None, None if zero is None else torch.full((3,), zero))
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    without = made(x)
    made.requires_grad_()
    assert torch.equal(made(x), without)
    with torch.no_grad():
        assert torch.equal(made(x), without)
    assert torch.equal(x, before)


def test_full_precision_restores_after_an_error():
    made = quantizer(2, 1.0)
    x = torch.tensor([0.4])
    with pytest.raises(RuntimeError), full_precision(made):
        assert made(x).item() == pytest.approx(0.4)
        raise RuntimeError
    assert made(x).item() == 0.0


def test_scheme_reads_and_prints():
    scheme = Scheme.parse("w4a8")
    assert (scheme.weight_bits, scheme.activation_bits, str(scheme)) == (4, 8, "W4A8")
    assert scheme.bits_of("backbone.conv", edge=False) == Bits(4, 8)
    assert scheme.bits_of("backbone.conv", edge=True) == Bits(8, 8)
    assert Scheme.parse("W4A4,head*=16").bits_of("head.0", edge=False) == Bits(16, 16)
    assert Scheme.parse("W4A4,heads=16").bits_of("x", edge=True, head=True) == Bits(16, 16)
    assert Scheme.parse("W4A4").bits_of("x", edge=True, head=True) == Bits(8, 8)
    assert Scheme.parse("W16A16").bits_of("conv", edge=True) == Bits(16, 16)


@pytest.mark.parametrize(
    ("text", "per_tensor", "affine"),
    [("W4A4", False, False), ("W3A5-tensor", True, False), ("W3A5-affine", False, True),
     ("W3A5-tensor-affine", True, True)],
)  # fmt: skip
def test_grids_are_read_as_they_are_printed(text: str, per_tensor: bool, affine: bool):
    scheme = Scheme.parse(text)
    assert (scheme.per_tensor, scheme.affine) == (per_tensor, affine)
    assert str(scheme) == text and Scheme.parse(str(scheme)) == scheme
    assert scheme.bits_of("conv", edge=False)[2:4] == (per_tensor, affine)


@pytest.mark.parametrize("text", ["W0A4", "W4A64", "W17A8", "4/4", "", "W4", "W4A4-channel", "W4A4affine"])
def test_impossible_schemes_are_refused(text: str):
    with pytest.raises(InputError, match=r"choose 1 to 16|write bits"):
        Scheme.parse(text)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "with gaps", "gradient in another order"])
def test_maps_of_any_layout_are_rounded_as_the_plain_formula_says_and_their_gradients_too(layout: str, affine: bool):
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(2, 8, 9, 11, generator=generator) * 3 for _ in range(2))
    if layout in ("channels last", "gradient in another order"):
        x = x.contiguous(memory_format=torch.channels_last)
    if layout == "channels last":
        grad = grad.contiguous(memory_format=torch.channels_last)
    if layout == "with gaps":
        x, grad = x[..., ::2], grad[..., ::2]
    made = FakeQuantizer(4, affine=affine)
    made.set_range(torch.tensor(0.3), True, torch.tensor(6.0) if affine else None)
    low, high = made.limits
    zero = 6.0 if affine else 0.0
    steps = (x / made.scale).round() + zero
    expected = (steps.clamp(low, high) - zero) * made.scale
    x = x.detach().requires_grad_()
    made.scale.requires_grad_()
    found = made(x)
    found.backward(grad)
    assert torch.equal(found, expected) and found.stride() == expected.stride()
    assert torch.equal(made(x.detach()), expected)
    with torch.no_grad():
        assert torch.equal(made(x), expected)
    assert torch.equal(x.grad, grad * (steps == steps.clamp(low, high)))
