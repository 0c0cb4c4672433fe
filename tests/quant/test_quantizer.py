"""The fake quantizer, schemes and calibrators against hand-computed cases."""

from __future__ import annotations

import pytest
import torch

from sfcore.errors import InputError
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.quantizer import FakeQuantizer, full_precision, limits
from sfcore.quant.scheme import Scheme


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
    assert scheme.bits_of("backbone.conv", edge=False) == (4, 8)
    assert scheme.bits_of("backbone.conv", edge=True) == (8, 8)
    assert Scheme.parse("W4A4", ("head*",)).bits_of("head.0", edge=False) == (16, 16)
    assert Scheme.parse("W4A4", wide_heads=True).bits_of("x", edge=True, head=True) == (16, 16)
    assert Scheme.parse("W4A4").bits_of("x", edge=True, head=True) == (8, 8)
    assert Scheme.parse("W16A16").bits_of("conv", edge=True) == (16, 16)


@pytest.mark.parametrize("text", ["W1A4", "W4A64", "W17A8", "4/4", "", "W4"])
def test_impossible_schemes_are_refused(text: str):
    with pytest.raises(InputError, match=r"choose 2 to 16|write bits"):
        Scheme.parse(text)


def test_minmax_makes_the_largest_value_representable():
    assert CALIBRATORS["minmax"](torch.tensor([[1.0, -14.0], [0.7, 0.1]]), -8, 7).tolist() == pytest.approx([2.0, 0.1])


def test_omse_is_no_worse_than_any_step_of_a_fine_search():
    values = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
    values[1] *= 20

    def error(scale: torch.Tensor) -> torch.Tensor:
        s = scale.unsqueeze(1)
        return ((values / s).round().clamp(-8, 7) * s - values).square().mean(1)

    found = error(CALIBRATORS["omse"](values, -8, 7))
    spread = values.abs().amax(1)
    best = torch.stack([error(spread / 7 * share) for share in torch.linspace(0.1, 1.0, 400).tolist()]).amin(0)
    assert (found <= best * 1.01).all()
    assert (found < error(CALIBRATORS["minmax"](values, -8, 7))).all()


def test_an_unknown_calibrator_is_named():
    with pytest.raises(InputError, match=r"there is no calibrator 'mean': choose one of .*omse"):
        CALIBRATORS["mean"]
