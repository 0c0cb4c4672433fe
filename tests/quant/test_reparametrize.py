"""Shift and scale of what a layer quantizes: the same is computed, wherever they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sfcore.detectors import registry
from sfcore.quant.convert import convert, example
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer, replacement
from sfcore.quant.layers.attention import QuantMultiheadAttention
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Bits, Scheme

CHANNELS = 6
ALLOWED = {torch.float32: 1e-5, torch.float64: 1e-9}  # of the largest output

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(CHANNELS, 4),
    "conv": lambda: nn.Conv2d(CHANNELS, 4, 3, stride=2, bias=False),
    "padded": lambda: nn.Conv2d(CHANNELS, 4, 3, padding=1),
    "groups": lambda: nn.Conv2d(CHANNELS, 9, 3, groups=3),
    "depthwise": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS),
    "circular": lambda: nn.Conv2d(CHANNELS, 4, 3, padding=1, padding_mode="circular"),
    "same": lambda: nn.Conv2d(CHANNELS, 4, 3, padding="same"),
    "1x1 same": lambda: nn.Conv2d(CHANNELS, 4, 1, padding="same"),
    "transposed": lambda: nn.ConvTranspose2d(CHANNELS, 4, 4, stride=2, padding=1),
    "transposed groups": lambda: nn.ConvTranspose2d(CHANNELS, 4, 3, stride=2, output_padding=1, groups=2),
    "one dimension": lambda: nn.Conv1d(CHANNELS, 4, 3),
}
SHIFTABLE = {"linear", "conv", "groups", "circular", "1x1 same", "one dimension"}


def quantized(layer: nn.Module) -> Any:
    build = replacement(layer)
    assert build
    return build(layer.requires_grad_(False), lambda _: Bits(8, 8))


def read(name: str) -> Tensor:
    """What a layer reads, with channels of their own means and sizes."""
    form = {"linear": (5, CHANNELS), "one dimension": (2, CHANNELS, 9)}.get(name, (2, CHANNELS, 7, 8))
    x = torch.randn(form, dtype=torch.float64)
    each = torch.linspace(0.1, 3.0, CHANNELS, dtype=torch.float64)
    each = each if name == "linear" else each.reshape(-1, *[1] * (len(form) - 2))
    return x * each + each.flip(0)


def drawn(layer: QuantLayer, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """A scale of any sign, and a shift within the range of each channel of what a layer quantizes of ``x``."""
    low, high = layer.presented(x).movedim(layer.channel_axis, 0).flatten(1).aminmax(dim=1)
    scale = torch.empty_like(low).uniform_(0.2, 5.0) * torch.where(torch.rand_like(low) < 0.1, -1.0, 1.0)
    return scale, low + (high - low) * torch.rand_like(low) if layer.shiftable else None


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).abs().max()) <= ALLOWED[expected.dtype] * float(expected.abs().max())


@torch.no_grad()
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ALLOWED)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31), times=st.integers(1, 2))
def test_any_shift_and_scale_leave_the_output_as_it_is(name: str, dtype: torch.dtype, seed: int, times: int) -> None:
    torch.manual_seed(seed)
    layer, x = quantized(LAYERS[name]()).double(), read(name)
    assert layer.shiftable == (name in SHIFTABLE)
    with full_precision(layer):
        expected = layer(x).to(dtype)
        shift, scale = 0.0, 1.0
        for _ in range(times):  # transforms compose
            s, z = drawn(layer, x)
            layer.reparametrize(s, z)
            s, z = (None if v is None else v.reshape(-1, *[1] * (layer.weight.ndim - 2)) for v in (s, z))
            shift, scale = shift + scale * (0.0 if z is None else z), scale * s
        assert torch.allclose(layer.presented(x), (x - shift) / scale, rtol=1e-9, atol=1e-9)
        assert_same(layer.to(dtype)(x.to(dtype)), expected)


@torch.no_grad()
def test_weight_and_bias_are_those_of_the_equation() -> None:
    layer = QuantLinear(nn.Linear(2, 1), lambda _: Bits(8, 8)).requires_grad_(False)
    layer.weight.copy_(torch.tensor([[3.0, -1.0]]))
    layer.bias.copy_(torch.tensor([0.5]))
    layer.reparametrize(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 10.0]))
    assert torch.equal(layer.weight, torch.tensor([[6.0, -4.0]]))  # W ⊙ s
    assert torch.equal(layer.bias, torch.tensor([-6.5]))  # b + W z = 0.5 + 3 - 10
    assert torch.equal(layer.presented(torch.tensor([[3.0, 6.0]])), torch.tensor([[1.0, -1.0]]))


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - SHIFTABLE))
def test_a_shift_that_padding_would_make_wrong_is_refused(name: str) -> None:
    layer = quantized(LAYERS[name]())
    before = layer.bias.clone()
    with pytest.raises(ValueError, match="pads its input with zeros"):
        layer.reparametrize(torch.ones(CHANNELS), torch.ones(CHANNELS))
    assert torch.equal(layer.bias, before) and layer.scale is None


@torch.no_grad()
@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("batch_first", [True, False])
def test_projections_of_an_attention_shift_and_scale_apart(dtype: torch.dtype, batch_first: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(CHANNELS, 2, batch_first=batch_first).double().requires_grad_(False)
    layer = QuantMultiheadAttention(attention, lambda _: Bits(8, 8)).double().requires_grad_(False)
    query, memory = torch.randn(3, 4, CHANNELS).double(), torch.randn(3, 4, CHANNELS).double() * 5
    expected = attention(query, memory, memory + 1)[0].to(dtype)
    for part in (layer.query, layer.key, layer.value, layer.out_proj):
        part.reparametrize(*drawn(part, memory))
    with full_precision(layer):
        found = layer.to(dtype)(*(x.to(dtype) for x in (query, memory, memory + 1)))[0]
    assert_same(found, expected)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "dtype"), [("lstr-tiny", torch.float32), ("lstr-tiny", torch.float64), ("ganet-tiny", torch.float32)]
)
def test_every_head_stays_as_it_is_wherever_shifts_and_scales_go(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    detector = registry.create(name)
    model, image = convert(detector, Scheme(8, 8)).to(dtype), example(detector).to(dtype)

    def change(layer: QuantLayer, inputs: tuple[Tensor, ...]) -> None:
        if layer.scale is None:
            layer.reparametrize(*drawn(layer, inputs[0]))

    with full_precision(model):
        expected = model(image)
        with hooks([module for module in model.modules() if isinstance(module, QuantLayer)], before=change):
            model(image)
        for head, value in model(image).items():
            assert_same(value, expected[head])


@torch.no_grad()
def test_a_state_says_which_layers_shift_and_scale() -> None:
    one, other = (quantized(nn.Conv2d(CHANNELS, 4, 3)) for _ in range(2))
    plain = dict(one.state_dict())
    assert not any(key in plain for key in ("shift", "scale"))
    x = read("conv").float()
    one.reparametrize(*drawn(one, x))
    other.load_state_dict(one.state_dict())
    assert other.scale.shape == (CHANNELS, 1, 1) and torch.equal(one(x), other(x))
    other.load_state_dict(plain)
    assert other.shift is other.scale is None
    with pytest.raises(RuntimeError, match="size mismatch for scale"):
        other.load_state_dict(plain | {"scale": torch.ones(2)})
