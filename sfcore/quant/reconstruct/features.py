"""Reading the features inside a network, block by block, while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from sfcore.quant.layers import QuantLayer

Features = dict[str, Tensor]


def blocks(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that are made of quantized layers: residual blocks, stages, attention layers, heads."""
    return tuple(
        name
        for name, module in model.named_modules()
        if name
        and not isinstance(module, (QuantLayer, nn.ModuleList))
        and any(isinstance(inner, QuantLayer) for inner in module.modules())
    )


@contextmanager
def recorded(model: nn.Module, names: tuple[str, ...]) -> Iterator[Features]:
    """Within the block, each forward leaves the outputs of the named modules in the yielded dictionary."""
    found: Features = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                found[name] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def feature_error(quantized: Features, reference: Features) -> Tensor:
    """mean over blocks of ‖f̂ - f‖² / ‖f‖²."""
    errors = [
        (quantized[name] - reference[name]).square().sum() / reference[name].square().sum().clamp_min(1e-9)
        for name in quantized
    ]
    return sum(errors[1:], errors[0]) / len(errors)
