"""The integers of engines, against those worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn

from sfcore.export.integers import Activation, held
from sfcore.quant.layers.linear import QuantLinear
from sfcore.quant.quantizers.uniform import FakeQuantizer
from sfcore.quant.scheme import Bits


def quantizer(bits: int, signed: bool, scale: float = 0.5, zero: float | None = None) -> FakeQuantizer:
    made = FakeQuantizer(bits, affine=zero is not None)
    made.set_range(torch.tensor(scale), signed, None if zero is None else torch.tensor(zero))
    return made


CASES = [
    # bits, signed, zero, signed types → type, zero, low, high, whole
    (8, True, None, False, (TensorProto.UINT8, 128, 0, 255, True)),
    (8, True, None, True, (TensorProto.INT8, 0, -128, 127, True)),
    (8, False, None, False, (TensorProto.UINT8, 0, 0, 255, True)),
    (4, True, None, False, (TensorProto.UINT8, 128, 120, 135, False)),
    (4, True, None, True, (TensorProto.INT8, 0, -8, 7, False)),
    (4, False, None, False, (TensorProto.UINT8, 0, 0, 15, False)),
    (8, False, 37.2, False, (TensorProto.UINT8, 37, 0, 255, True)),
    (4, False, 3.0, False, (TensorProto.UINT8, 3, 0, 15, False)),
    (16, True, None, False, (TensorProto.UINT16, 2**15, 0, 2**16 - 1, True)),
    (16, True, None, True, (TensorProto.INT16, 0, -(2**15), 2**15 - 1, True)),
    (9, True, None, False, (TensorProto.UINT16, 2**15, 2**15 - 256, 2**15 + 255, False)),
    (16, False, 5.0, False, (TensorProto.UINT16, 5, 0, 2**16 - 1, True)),
]


@pytest.mark.parametrize(("bits", "signed", "zero", "types", "expected"), CASES)
def test_an_activation_is_held_in_the_smallest_type(
    bits: int, signed: bool, zero: float | None, types: bool, expected: tuple[int, int, int, int, bool]
) -> None:
    found = Activation.of(quantizer(bits, signed, zero=zero), types)
    assert (found.type, found.zero, found.low, found.high, found.whole) == expected
    assert (found.bits, found.scale) == (bits, 0.5)


def test_the_range_is_that_of_the_values() -> None:
    assert Activation.of(quantizer(4, True), False).range == (-4, 3.5)
    assert Activation.of(quantizer(4, False, zero=3.0), False).range == (-1.5, 6)
    assert Activation.of(quantizer(8, True), True).range == (-64, 63.5)


@pytest.mark.parametrize(
    ("bits", "signed", "zero"), [(8, True, None), (4, True, None), (3, False, 5.0), (12, False, None)]
)
def test_an_activation_comes_back_with_the_value_of_the_quantizer(bits: int, signed: bool, zero: float | None) -> None:
    made, x = quantizer(bits, signed, 0.25, zero), torch.linspace(-3000, 3000, 1001)
    how = Activation.of(made, signed=False)
    integers = np.clip(np.round(x.numpy() / how.scale) + how.zero, how.low, how.high)
    np.testing.assert_array_equal((integers - how.zero) * how.scale, made(x).numpy())


def layer(bits: int, weight: Tensor, bias: Tensor, steps: Tensor, per_tensor: bool = False) -> QuantLinear:
    linear = nn.Linear(weight.shape[1], len(weight))
    linear.weight.data, linear.bias.data = weight, bias
    made = QuantLinear(linear, lambda _: Bits(bits, 8, per_tensor=per_tensor, integer_bias=True))
    made.input_quantizer.set_range(torch.tensor(0.5), signed=True)
    made.weight_quantizer.set_range(steps, signed=True)
    return made


def test_weights_and_biases_are_integers_times_steps() -> None:
    made = layer(4, torch.tensor([[0.5, -1.1], [9.0, 1.0]]), torch.tensor([0.3, -0.4]), torch.tensor([0.25, 0.5]))
    weight, bias, raised = held(made, 21)
    assert (weight.type, weight.integers.tolist()) == (TensorProto.INT4, [[2, -4], [7, 2]])
    assert bias is not None and (bias.type, bias.integers.tolist()) == (TensorProto.INT32, [2, -2])
    assert weight.scale.tolist() == [0.25, 0.5] and bias.scale.tolist() == [0.125, 0.25] and raised == 0


@pytest.mark.parametrize(("bits", "opset", "kind"), [
    (2, 21, TensorProto.INT4), (4, 21, TensorProto.INT4), (4, 20, TensorProto.INT8), (5, 21, TensorProto.INT8),
    (8, 21, TensorProto.INT8), (9, 21, TensorProto.INT16), (16, 23, TensorProto.INT16),
])  # fmt: skip
def test_weights_are_held_in_the_smallest_type_of_the_opset(bits: int, opset: int, kind: int) -> None:
    made = layer(bits, torch.ones(1, 2), torch.zeros(1), torch.tensor([0.25]))
    assert held(made, opset)[0].type == kind


def test_one_step_for_a_tensor_is_one_number() -> None:
    made = layer(8, torch.ones(2, 2), torch.ones(2), torch.tensor(0.25), per_tensor=True)
    weight, bias, _ = held(made, 21)
    assert weight.scale.shape == () and float(weight.scale) == 0.25
    assert bias is not None and bias.scale.tolist() == [0.125, 0.125] and bias.integers.tolist() == [8, 8]


@pytest.mark.parametrize("per_tensor", [False, True])
def test_a_bias_of_too_many_steps_gets_larger_ones_and_keeps_its_value(per_tensor: bool) -> None:
    tiny = 1e-12
    steps = torch.tensor(tiny) if per_tensor else torch.tensor([tiny, 0.25])
    weight = torch.tensor([[7 * tiny, 0.0], [0.5, 0.5]]) if not per_tensor else torch.full((2, 2), 7 * tiny)
    weights, bias, raised = held(layer(8, weight, torch.tensor([3.0, 0.25]), steps, per_tensor), 21)
    assert bias is not None and raised >= 1 and bias.integers.min() > 0
    np.testing.assert_allclose(bias.integers * bias.scale.astype(float), [3.0, 0.25], rtol=1e-6)
    np.testing.assert_allclose(np.broadcast_to(bias.scale, 2), 0.5 * np.broadcast_to(weights.scale, 2), rtol=1e-6)
    values = weights.integers * (weights.scale if per_tensor else weights.scale[:, None])
    np.testing.assert_allclose(values, weight.numpy(), atol=1e-8)
    assert per_tensor or (raised == 1 and float(weights.scale[1]) == 0.25 and float(bias.scale[1]) == 0.125)


def test_no_bias_that_gets_larger_steps_overflows() -> None:
    biases = torch.rand(4096, generator=torch.Generator().manual_seed(0)) + 0.5
    made = layer(8, torch.zeros(4096, 1), biases, biases.flip(0) * 1e-11)
    _, bias, raised = held(made, 21)
    assert bias is not None and raised == 4096 and bias.integers.min() > 0
    np.testing.assert_allclose(bias.integers * bias.scale.astype(float), biases.numpy(), rtol=1e-6)


def test_there_is_no_bias_in_integers_where_the_input_is_not_rounded() -> None:
    made = layer(8, torch.ones(1, 2), torch.ones(1), torch.tensor([0.25]))
    made.input_quantizer.set_unknown()
    assert held(made, 21)[1] is None
