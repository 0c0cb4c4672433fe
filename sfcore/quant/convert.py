"""Turning a detector into one whose layers are fake-quantized, by wrapping modules; nothing is traced."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import replacement
from sfcore.quant.layers.base import Bits
from sfcore.quant.scheme import Scheme

Conv = nn.Conv2d | nn.ConvTranspose2d


def convert(detector: Detector, scheme: Scheme) -> Detector:
    """A copy of ``detector`` with batch norm folded and every known layer quantized; not yet calibrated.

    Raises:
        InputError: the detector has no layer that can be quantized.
    """
    model = copy.deepcopy(detector).eval().requires_grad_(False)
    example = torch.zeros(1, 3, *detector.preprocessing.size, device=detector.device)
    fold_batch_norm(model, example)
    first, last = edge_layers(model, example)
    heads = branches(model, last)
    layers = [(name, module) for name, module in model.named_modules() if replacement(module)]
    if not layers:
        raise InputError(
            "the detector has no layer that can be quantized: use Conv2d, ConvTranspose2d, Linear, "
            "MultiheadAttention or MatMul"
        )
    for name, module in layers:
        build = replacement(module)
        assert build is not None  # filtered above

        def bits_of(part: str, name: str = name) -> Bits:
            return scheme.bits_of(f"{name}.{part}" if part else name, name in first | last, name in heads)

        _put(model, name, build(module, bits_of).to(detector.device))
    return model.eval()


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _is_batch_norm(module: Any) -> bool:
    """Any module with fixed per-channel statistics, frozen variants included."""
    return all(hasattr(module, name) for name in ("running_mean", "running_var", "weight", "bias", "eps"))


@torch.no_grad()
def fold_batch_norm(model: nn.Module, example: Tensor) -> None:
    """Merge each batch norm into the convolution whose output it reads; the model computes the same.

    The pairs are found by running ``example`` and seeing which batch norm receives the very tensor that
    a convolution returned, so the module tree may be of any shape.
    """
    made: dict[int, tuple[Tensor, Conv]] = {}
    pairs: list[tuple[Conv, Any]] = []

    def after(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, Conv):
            made[id(output)] = (output, module)  # keeping the tensor alive keeps its id its own

    def before(module: nn.Module, inputs: Any) -> None:
        if _is_batch_norm(module) and id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][1], module))

    with hooks(model.modules(), before, after):
        model(example)
    names = {module: name for name, module in model.named_modules()}
    for conv, norm in pairs:
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
        outputs = 1 if isinstance(conv, nn.ConvTranspose2d) else 0  # the axis of the weight's output channels
        shape = [-1 if axis == outputs else 1 for axis in range(4)]
        conv.weight = nn.Parameter(conv.weight * factor.reshape(shape), requires_grad=False)
        conv.bias = nn.Parameter((bias - norm.running_mean) * factor + norm.bias, requires_grad=False)
        _put(model, names[norm], nn.Identity())


class _Mark(torch.autograd.Function):
    """The identity, leaving a layer's name in the autograd graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str) -> Tensor:
        ctx.layer = name
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def edge_layers(model: Detector, example: Tensor) -> tuple[set[str], set[str]]:
    """Names of the first layers (nothing quantized before them) and the last (nothing after, up to a head)."""
    layers = {module: name for name, module in model.named_modules() if replacement(module)}
    first: set[str] = set()

    def before(module: nn.Module, inputs: Any) -> None:
        # An input that needs no gradient (a constant such as a query embedding) is not the image.
        reached = [x.grad_fn for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        if reached and not any(_marks(node) for node in reached):
            first.add(layers[module])

    def after(module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (_Mark.apply(output[0], layers[module]), *output[1:])
        return _Mark.apply(output, layers[module])

    with torch.enable_grad(), hooks(layers, before, after):
        outputs = model(example.clone().requires_grad_())
    last = set().union(*(_marks(output.grad_fn) for output in outputs.values()))
    return first, last


def branches(model: nn.Module, last: set[str]) -> set[str]:
    """The last layers and those that stand in the same container: each head's own branch."""
    containers = {name.rpartition(".")[0] for name in last} - {""}
    return last | {
        name
        for name, module in model.named_modules()
        if replacement(module) and any(name.startswith(f"{container}.") for container in containers)
    }


def _marks(node: Any) -> set[str]:
    """The layers met first when walking back from an autograd node."""
    found: set[str] = set()
    seen: set[Any] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        if hasattr(current, "layer"):
            found.add(current.layer)
        else:
            stack.extend(parent for parent, _ in current.next_functions)
    return found
