"""What a target profile says, and the registry of them. One more is one more file that registers itself."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from sfcore.registries import Registry


@dataclass(frozen=True)
class Target:
    """What engines of a kind make of a quantized network: chosen before tuning, and simulated.

    Attributes:
        description: one sentence for people.
        weight_bits, activation_bits: those that it can run.
        signed: whether there are signed integers alone, also for tensors that are nowhere negative.
        affine: whether there are zero points.
        per_channel: whether a weight may have a step size for each output channel.
        integer_bias: whether biases are int32, in steps of the product of their layer's two step sizes; floating-point
            numbers else.
        adds: whether it rounds both inputs of every residual add, so that a scheme cannot leave them as they are.
    """

    description: str
    weight_bits: Container[int]
    activation_bits: Container[int]
    signed: bool = False
    affine: bool = True
    per_channel: bool = True
    integer_bias: bool = True
    adds: bool = False


TARGETS: Registry[Target] = Registry("target", "sfcore.quant.targets")
