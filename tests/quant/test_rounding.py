"""Learned rounding and dropped quantization against hand-computed cases."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfcore.errors import InputError
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.quantizers import full_precision
from sfcore.quant.reconstruct.drop import dropping, mixed
from sfcore.quant.reconstruct.learned import Learned
from sfcore.quant.reconstruct.rounding import Rounding, soft_rounding
from sfcore.quant.scheme import Bits


def layer(weights: list[list[float]], bits: int = 4, step: float = 0.5) -> QuantLinear:
    linear = nn.Linear(len(weights[0]), len(weights), bias=False)
    linear.weight.data = torch.tensor(weights)
    made = QuantLinear(linear, lambda _: Bits(bits, 8)).requires_grad_(False)
    made.weight_quantizer.set_range(torch.full((len(weights),), step), signed=True)
    return made


def test_soft_rounding_begins_at_the_weights_themselves():
    made = layer([[0.6, -0.9, 1.0], [0.2, 0.0, -0.3]])
    torch.testing.assert_close(Rounding(made).soft(), made.weight, atol=1e-6, rtol=0)


def test_weights_beyond_the_grid_are_clamped_to_it():
    made = Rounding(layer([[9.0, -9.0]]))  # 4 bits reach from -4 to 3.5
    assert made.soft().tolist() == [[3.5, -4.0]]


def test_hardened_weights_go_up_where_alpha_is_not_negative():
    made = layer([[0.6, -0.9, 1.0, 0.2]])
    rounding = Rounding(made)
    rounding.alpha.data = torch.tensor([[5.0, -5.0, -5.0, 0.0]])
    rounding.harden()
    assert made.weight.tolist() == [[1.0, -1.0, 1.0, 0.5]]
    assert torch.equal(made.weight_quantizer(made.weight), made.weight)  # an ordinary quantized layer


def test_by_default_weights_round_to_the_nearest():
    made = layer([[0.6, -0.9, 1.1, 0.2, 0.3]])
    nearest = made.weight_quantizer(made.weight).clone()
    Rounding(made).harden()
    assert torch.equal(made.weight, nearest)


def test_the_penalty_by_hand_and_none_where_decided():
    rounding = Rounding(layer([[0.25, 0.0]]))  # half way up, and not at all
    assert rounding.penalty(2.0).item() == pytest.approx(1.0)
    rounding.alpha.data = torch.tensor([[0.0, 9.0]])
    assert rounding.penalty(20.0).item() == pytest.approx(1.0)  # h is 0.5 and 1


def test_within_the_block_the_layer_computes_softly_and_gradients_reach_alpha():
    made, x = layer([[0.6, -0.9]]), torch.tensor([[1.0, 2.0]])
    rounding = Rounding(made)
    ordinary = made(x)
    with full_precision(made, only="input_quantizer"):
        with soft_rounding([rounding]):
            made(x).sum().backward()
            assert made(x).item() == pytest.approx(0.6 - 1.8, abs=1e-5)
        assert made(x).item() == pytest.approx(0.5 - 2.0)
    share = rounding.share()
    slope = 1.2 * rounding.alpha.sigmoid() * (1 - rounding.alpha.sigmoid())
    assert ((share > 0) & (share < 1)).all()
    torch.testing.assert_close(rounding.alpha.grad, 0.5 * x * slope.detach())
    assert torch.equal(made(x), ordinary)


def test_learned_rounding_beats_the_nearest_where_inputs_go_together():
    """Inputs that rise and fall together add up the errors of rounding to the nearest; opposite ones cancel out."""
    generator = torch.Generator().manual_seed(0)
    common, own = torch.randn(200, 1, generator=generator), torch.randn(200, 32, generator=generator)
    x, weights = common + 0.2 * own, torch.randn(4, 32, generator=generator)
    made = layer(weights.tolist(), bits=8, step=0.5)
    made.input_quantizer.active = False

    def error() -> torch.Tensor:
        return (made(x) - x @ weights.T).square().sum(-1).mean()

    nearest = error()
    recipe = Recipe(learn=("rounding",), iterations=400, learning_rate=0.1, rounding=0.2)
    learned = Learned(made, recipe)
    for iteration in range(recipe.iterations):
        with learned.in_effect(iteration):
            loss = error()
        (loss + (learned.penalty(iteration) or 0.0)).backward()
        learned.descend(iteration)
    learned.harden()
    assert error() < 0.5 * nearest
    up = made.weight - weights
    assert (up.abs() < 0.5 + 1e-5).all() and (up.abs() > 0.25).any()  # some went the longer way, none two steps


def test_the_exponent_goes_straight_from_first_to_last_after_the_warm_up():
    recipe = Recipe(iterations=100, learn=("rounding",), warm_up=0.2)
    assert [recipe.exponent(i) for i in (0, 19, 20, 60, 100)] == [None, None, 20.0, pytest.approx(11.0), 2.0]


def test_drops_leave_about_the_asked_share_at_full_precision():
    made = layer([[1.0, 1.0]])
    made.input_quantizer.set_range(torch.tensor(1.0), signed=True)
    x = torch.full((4000, 2), 0.3)  # quantized to 0

    def inputs(probability: float, seed: int = 0) -> torch.Tensor:
        with dropping(made, probability, torch.Generator().manual_seed(seed)):
            return made.input_quantizer(x)

    assert inputs(0.0).unique().tolist() == [0.0] and inputs(1.0).unique().tolist() == [pytest.approx(0.3)]
    assert (inputs(0.25) != 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(inputs(0.5, 1), inputs(0.5, 1)) and not torch.equal(inputs(0.5, 1), inputs(0.5, 2))
    assert made.input_quantizer(x).unique().tolist() == [0.0]  # no hook is left


def test_mixing_takes_elements_of_both():
    first, second = torch.zeros(10_000), torch.ones(10_000)
    found = mixed(first, second, 0.3, torch.Generator().manual_seed(0))
    assert found.mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"granularity": "stage"}, "no granularity 'stage'"), ({"drop": 1.5}, r"drop = 1.5"),
     ({"warm_up": -0.1}, "warm_up"), ({"last_exponent": 0.0}, "last_exponent"), ({"step_rate": 0.0}, "step_rate"),
     ({"learn": ("weights", "rounding")}, "at once"), ({"granularity": "block", "objective": "focus"}, "in sight"),
     ({"granularity": "layer", "selection": "fast"}, "heads in sight"), ({"selection": "fixed"}, "name heads for"),
     ({"heads": ("a",)}, "it alone"), ({"schedule": "linear"}, "no schedule 'linear'")],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(options: dict[str, object], said: str):
    with pytest.raises(InputError, match=said):
        Recipe(**options)
