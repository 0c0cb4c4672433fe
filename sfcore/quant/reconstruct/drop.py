"""Dropping the quantization of activations at random (Wei et al. 2022, QDrop)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.quant.hooks import hooks
from sfcore.quant.quantizers import Quantizer, quantizers


def activation_quantizers(module: nn.Module) -> list[Quantizer]:
    """The quantizers inside a module that see activations."""
    return [quantizer for name, quantizer in quantizers(module) if not name.endswith("weight_quantizer")]


def mixed(first: Tensor, second: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Elements of ``first`` with probability ``share`` > 0 (in steps of 1/256), of ``second`` elsewhere.

    Random bytes decide, eight to each number drawn, which is ten times as fast as a number for each element.
    """
    words = torch.empty(first.numel() // 8 + 1, dtype=torch.int64, device=first.device)
    drawn = words.random_(-(2**63), None, generator=generator).view(torch.uint8)
    order = torch.empty_like(first, dtype=torch.uint8)  # the same order in memory makes one fast pass of it
    chosen = drawn.as_strided(order.shape, order.stride()) <= max(round(256 * share) - 1, 0)
    return torch.where(chosen, first, second)


def dropping(module: nn.Module, probability: float, generator: torch.Generator) -> AbstractContextManager[None]:
    """Within the block each quantizer of activations leaves elements as they are, each with the probability.

    Args:
        generator: on the module's device; decides which.
    """
    if not probability:
        return nullcontext()

    def keep(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return mixed(inputs[0], output, probability, generator)

    return hooks(activation_quantizers(module), after=keep)
