"""What a detector promises to quantization, beside what :mod:`sfcore.detectors.contract` asks."""

from __future__ import annotations

import torch
from torch import nn

from sfcore.detectors.contract import Check, Subject, expect
from sfcore.errors import InputError
from sfcore.quant.calibrate import quantize
from sfcore.quant.convert import convert
from sfcore.quant.layers.base import QuantLayer
from sfcore.quant.scheme import Scheme
from sfcore.quant.units import find_units

SCHEME = Scheme.parse("W8A8")


def weights_are_in_known_layers(on: Subject) -> None:
    model = convert(on.detector, SCHEME)
    skipped = [
        f"{name} ({type(module).__name__})"
        for name, module in model.named_modules()
        if not isinstance(module, QuantLayer | nn.Embedding)
        and any(p.ndim >= 2 and key == "weight" for key, p in module.named_parameters(recurse=False))
    ]
    expect(
        not skipped,
        f"{', '.join(skipped)} would stay in full precision: use Conv2d, ConvTranspose2d, Linear, "
        "MultiheadAttention or MatMul, or register a quantized layer in sfcore/quant/layers",
    )


def quantized_copy_works(on: Subject) -> None:
    model = quantize(on.detector, SCHEME, [on.images])
    with torch.no_grad():
        outputs = model(on.images)
    broken = [name for name, value in outputs.items() if not torch.isfinite(value).all()]
    expect(not broken, f"{', '.join(broken)} of the 8-bit copy is not finite")
    same = [name for name, value in outputs.items() if torch.equal(value, on.outputs[name])]
    expect(not same, f"{', '.join(same)} is not touched by quantization: no known layer leads to it")
    model.decode(outputs)


def units_can_be_told_apart(on: Subject) -> None:
    model = convert(on.detector, SCHEME)
    try:
        find_units(model, "layer")
    except InputError as error:
        expect(False, str(error))


CHECKS: dict[str, Check] = {
    "every weight is in a layer that can be quantized": weights_are_in_known_layers,
    "its 8-bit copy computes and decodes": quantized_copy_works,
    "its layers can be reconstructed one by one": units_can_be_told_apart,
}
