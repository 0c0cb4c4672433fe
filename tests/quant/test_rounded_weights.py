"""How often weights are rounded, and that what is rounded is never out of date."""

from __future__ import annotations

import copy
from collections.abc import Callable
from threading import Thread

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.registry import create
from sfcore.passes import forward_passes, kept
from sfcore.quant.convert import convert
from sfcore.quant.inference import in_batches
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Bits, Scheme


@pytest.fixture
def layer() -> QuantLinear:
    torch.manual_seed(0)
    return QuantLinear(nn.Linear(3, 2), lambda _: Bits(4, 8)).requires_grad_(False)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Gets each weight that is rounded."""
    seen: list[Tensor] = []
    kind = type(QuantLinear(nn.Linear(1, 1), lambda _: Bits(4, 8)).weight_quantizer)
    before = kind.rounded

    def rounded(self: nn.Module, x: Tensor) -> Tensor:
        if isinstance(x, nn.Parameter):
            seen.append(x)
        return before(self, x)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "rounded", rounded)
    return seen


def test_a_layer_that_runs_many_times_rounds_its_weight_twice_at_most(rounds: list[Tensor]) -> None:
    detector = create("scnn-tiny").requires_grad_(False)
    model = convert(detector, Scheme(4, 4))
    images = torch.zeros(2, 3, *detector.preprocessing.size)
    rounds.clear()
    with torch.no_grad():
        model(images)
    once, often = len({id(weight) for weight in rounds}) - 4, 4  # messages down, up, to the right and to the left
    assert len(rounds) == once + 2 * often
    rounds.clear()
    in_batches(model, images.repeat(2, 1, 1, 1).split(1))
    assert len(rounds) == 2 * (once + often)


def _halved(layer: QuantLinear) -> None:
    layer.weight.mul_(0.5)


def _loaded(layer: QuantLinear) -> None:
    layer.load_state_dict({**layer.state_dict(), "weight": layer.weight + 3})


def _replaced(layer: QuantLinear) -> None:
    layer.weight = nn.Parameter(layer.weight + 3, requires_grad=False)


def _rescaled(layer: QuantLinear) -> None:
    layer.weight_quantizer.set_range(torch.tensor([0.25, 0.5]), signed=True)


def _widened(layer: QuantLinear) -> None:
    layer.weight_quantizer.bits = 8


@pytest.mark.parametrize("change", [_halved, _loaded, _replaced, _rescaled, _widened])
def test_what_changes_in_between_is_rounded_anew(layer: QuantLinear, change: Callable[[QuantLinear], None]) -> None:
    layer.weight_quantizer.set_range(torch.tensor([0.01, 0.02]), signed=True)
    with torch.no_grad(), forward_passes():
        before = [layer.rounded_weight() for _ in range(2)][1]
        change(layer)
        after = [layer.rounded_weight() for _ in range(3)][2]
    assert torch.equal(after, layer.weight_quantizer(layer.weight))
    assert not torch.equal(after, before)


@torch.no_grad()
def test_switched_off_nothing_is_rounded(layer: QuantLinear) -> None:
    with forward_passes():
        layer.rounded_weight(), layer.rounded_weight()
        with full_precision(layer):
            assert torch.equal(layer.rounded_weight(), layer.weight)


@torch.no_grad()
def test_nothing_outlives_the_passes(layer: QuantLinear) -> None:
    with forward_passes():
        layer.rounded_weight(), layer.rounded_weight()
    layer.weight.data.add_(3)  # which torch does not count
    with forward_passes():
        assert torch.equal(layer.rounded_weight(), layer.weight_quantizer(layer.weight))


@torch.no_grad()
def test_a_copy_has_weights_of_its_own(layer: QuantLinear) -> None:
    with forward_passes():
        layer.rounded_weight(), layer.rounded_weight()
        other = copy.deepcopy(layer)
        other.weight.add_(3)
        assert torch.equal(other.rounded_weight(), other.weight_quantizer(other.weight))


def test_gradients_reach_the_weight_of_every_pass(layer: QuantLinear) -> None:
    layer.weight.requires_grad_()
    with forward_passes():
        with torch.no_grad():
            layer(torch.ones(1, 3))
        layer(torch.ones(1, 3)).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


def test_weights_made_in_inference_mode_are_followed_too() -> None:
    with torch.inference_mode(), forward_passes():
        layer = QuantLinear(nn.Linear(3, 2), lambda _: Bits(4, 8)).requires_grad_(False)
        layer.rounded_weight(), layer.rounded_weight()
        layer.weight.add_(3)
        assert torch.equal(layer.rounded_weight(), layer.weight_quantizer(layer.weight))


def test_threads_know_nothing_of_each_other() -> None:
    found: list[float] = []

    def ask(value: float) -> None:
        found.extend(float(kept("key", lambda: torch.tensor(value))) for _ in range(3))

    with forward_passes():
        ask(1.0)
        thread = Thread(target=ask, args=(2.0,))
        thread.start()
        thread.join()
    assert found == [1.0] * 3 + [2.0] * 3
