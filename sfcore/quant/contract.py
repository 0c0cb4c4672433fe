"""What a detector promises to quantization, beside what :mod:`sfcore.detectors.contract` asks."""

from __future__ import annotations

import torch

from sfcore.detectors.base import Detector
from sfcore.detectors.contract import Check, Subject, expect
from sfcore.errors import InputError
from sfcore.quant.convert import convert
from sfcore.quant.fidelity import require_same
from sfcore.quant.pipeline import quantize
from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.quant.reconstruct.units import find_units
from sfcore.quant.scheme import Scheme

SCHEME = Scheme.parse("W8A8")


def copy_computes_the_same(on: Subject) -> None:
    """The converted copy, quantizers off, gives the detector's outputs."""
    model = convert(on.detector, SCHEME)
    with full_precision(model):
        require_same(on.detector, model, on.images)


def quantized_copy_works(on: Subject) -> None:
    """Outputs of the 8-bit copy are finite, touched by quantization, and decode."""
    model = quantize(on.detector, SCHEME, [on.images])
    with torch.no_grad():
        outputs = model(on.images)
    broken = [name for name, value in outputs.items() if not torch.isfinite(value).all()]
    expect(not broken, f"{', '.join(broken)} of the 8-bit copy is not finite")
    same = [name for name, value in outputs.items() if torch.equal(value, on.outputs[name])]
    expect(not same, f"{', '.join(same)} is not touched by quantization: no known layer leads to it")
    model.decode(outputs)


def copy_passes_gradients(on: Subject) -> None:
    """Gradients at all step sizes are finite."""
    model = quantize(on.detector, SCHEME, [on.images], bias_correction=False)
    for _, quantizer in quantizers(model):
        quantizer.scale.requires_grad_()
    torch.stack([value.square().mean() for value in model(on.images.clone()).values()]).sum().backward()
    broken = [n for n, q in quantizers(model) if q.scale.grad is not None and not torch.isfinite(q.scale.grad).all()]
    expect(not broken, f"the gradient at {', '.join(broken)} is not finite")


def units_can_be_told_apart(on: Subject) -> None:
    """Each layer can be reconstructed alone."""
    model = convert(on.detector, SCHEME)
    try:
        find_units(model, "layer")
    except InputError as error:
        expect(False, str(error))


CHECKS: dict[str, Check] = {
    "with quantization off, its copy computes the same": copy_computes_the_same,
    "its 8-bit copy computes and decodes": quantized_copy_works,
    "its 8-bit copy passes gradients": copy_passes_gradients,
    "its layers can be reconstructed one by one": units_can_be_told_apart,
}


def in_full_precision(detector: Detector) -> dict[str, str]:
    """What of a detector quantization leaves as it is, and why, by the names of its modules; empty where it refuses
    the whole, as a broken promise says."""
    try:
        return dict(convert(detector, SCHEME).full_precision)
    except Exception:  # as in a check, a user's detector may raise anything
        return {}
