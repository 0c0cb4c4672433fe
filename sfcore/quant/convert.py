"""Turning a detector into one whose layers are fake-quantized, by replacing modules; nothing is traced.

What a forward pass does decides what is replaced (:mod:`sfcore.quant.flow`): a layer is quantized where its quantized
self, with quantization off, computes what the layer computed in each of its calls. Anything else is left in full
precision, and the copy says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.detectors.layers import Add
from sfcore.errors import InputError
from sfcore.quant.copies import become, copied
from sfcore.quant.coverage import edge_layers, quantizable, quantized
from sfcore.quant.fidelity import require_same, said_of
from sfcore.quant.layers.add import QuantAdd
from sfcore.quant.layers.base import Bits
from sfcore.quant.plain import make_plain
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import TRANSFORMS, USUAL, Transform
from sfcore.quant.transforms.batch_norm import fold_batch_norm

__all__ = ["convert", "edge_layers", "example", "fold_batch_norm"]
EXAMPLE_SEED = 0


def convert(detector: Detector, scheme: Scheme, transforms: Sequence[str] = USUAL) -> Detector:
    """A copy of ``detector``, restructured, with every layer quantized that can be; not yet calibrated.

    The copy's ``full_precision`` says what is left, and why.

    Args:
        transforms: names of those that restructure it, in this order; batch norms are folded where nothing is said.

    Raises:
        InputError: nothing of the detector can be quantized, it writes into its input, its copy would not compute
            the same with quantization off (the message names the module), or not run at all, or the scheme gives bits
            to a layer that it has not.
    """
    with said_of(detector):
        model = _converted(detector, scheme, [TRANSFORMS[name]() for name in transforms])
    model.transformed_by = tuple(transforms)
    return model


def _converted(detector: Detector, scheme: Scheme, transforms: Sequence[Transform]) -> Detector:
    model = copied(detector).eval().requires_grad_(False)
    make_plain(model)
    images = example(detector)
    left: dict[str, str] = {}
    for transform in transforms:
        left |= transform.restructure(model, images)
    layers, first, last = quantizable(model, images, left)
    if not layers:
        said = "".join(f"; {name}: {why}" for name, why in list(left.items())[:3])
        raise InputError(
            "the detector has no layer that can be quantized: use convolutions, Linear, MultiheadAttention or "
            f"MatMul{said}"
        )
    heads, edges, parts = branches(last, layers), first | last, list[str]()
    partly = [rule.pattern for rule in scheme.rules if rule.full and rule.of_one and rule.pattern not in layers]
    chosen = [name for name in layers if not scheme.leaves(name, name in edges, name in heads)]
    if not chosen:
        raise InputError(f"{scheme} leaves all layers in full precision: leave one to be quantized")
    if partly and any(partly[0].startswith(f"{name}.") for name in layers):
        raise InputError(f"{partly[0]} is part of a layer, which stays in full precision as a whole: name the layer")
    for name in sorted(set(layers) - set(chosen)):
        left[name] = "the scheme says so"
        parts.append(name)
    for name in chosen:
        module = model.get_submodule(name)

        def bits_of(part: str, name: str = name) -> Bits:
            parts.append(f"{name}.{part}" if part else name)
            return scheme.bits_of(parts[-1], name in edges, name in heads)

        become(module, quantized(module, bits_of).to(detector.device))
    if scheme.quantizes_adds:
        parts += _quantize_adds(model, scheme)
    scheme.check_names(parts)
    for transform in transforms:
        transform.extend(model)
    model.full_precision = left
    with full_precision(model):
        require_same(detector, model, images)
    return model.eval()


def _quantize_adds(model: Detector, scheme: Scheme) -> list[str]:
    """Quantize the residual adds that are modules; returns their names."""
    adds = {name: module for name, module in model.named_modules() if isinstance(module, Add)}
    for name, module in adds.items():
        become(module, QuantAdd(scheme.bits_of(name, edge=False)).to(model.device))
    return list(adds)


def example(detector: Detector) -> Tensor:
    """(1, ...) input that shows what a network does: noise, always the same."""
    stacked = detector.preprocessing.example(1, torch.Generator().manual_seed(EXAMPLE_SEED))
    return detector.preprocessing.normalize(stacked).to(detector.device)


def branches(last: set[str], layers: Sequence[str]) -> set[str]:
    """The last layers and those that stand in the same container: each head's own branch."""
    containers = {name.rpartition(".")[0] for name in last} - {""}
    return last | {name for name in layers if any(name.startswith(f"{container}.") for container in containers)}
