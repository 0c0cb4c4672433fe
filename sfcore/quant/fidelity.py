"""Whether a restructured copy of a detector still computes what the detector computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.quant.capture import outputs_of, watching
from sfcore.quant.copies import copied
from sfcore.quant.same import all_same, difference

ALLOWED = 1e-4  # of a channel's largest value: rounding of float32 through all layers stays below it
ALLOWED_DOUBLE = 1e-6  # the same computed in float64, asked where float32 is not enough to tell
ALLOWED_ROUNDINGS = 8.0  # times what rounding to float32 does to the detector itself, where that is more than usual

# What a network raises that cannot be run; not what asks the work to stop.
_RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@contextmanager
def said_of(detector: Detector) -> Iterator[None]:
    """Turn whatever a user's network raises while its copy is made and run into one line.

    Raises:
        InputError: an error was raised.
    """
    try:
        yield
    except InputError:
        raise
    except _RAISED as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{type(detector).__name__} cannot be quantized, for a copy of it does not run ({why}): write that part "
            "otherwise, and try it with sfcore check-detector"
        ) from error


@torch.no_grad()
def require_same(detector: Detector, model: Detector, images: Tensor) -> None:
    """Refuse a copy that, with its quantizers off, does not compute what ``detector`` computes.

    A network that chooses (the best of many, the nearest of two) may take another choice for a rounding error; so
    what differs is computed again in float64 before it is refused. One that magnifies rounding errors is allowed as
    much as they do to the network itself, and a little more: folded weights are rounded, too.

    Args:
        images: (N, ...) input: (N, 3, H, W) of images.

    Raises:
        InputError: the outputs of a head differ; the message names the first module that does.
    """
    head, apart = worst_head(_run(detector, images), _run(model, images))
    if apart <= ALLOWED or _same_in_double(detector, model, images) or apart <= _own_rounding(detector, images):
        return
    raise InputError(
        f"{type(detector).__name__} cannot be quantized faithfully: even with quantization off, its copy puts out "
        f"another {head} (apart by {apart:.2g} of its largest value), beginning at "
        f"{_first_apart(detector, model, images)}: write that part with modules that are called by their names"
    )


def _run(model: Detector, images: Tensor) -> Outputs:
    """The outputs, of the same random numbers each time: a dropout that is never switched off draws them."""
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        return model(images.clone())


def worst_head(expected: Outputs, found: Outputs) -> tuple[str, float]:
    """The head of which a channel differs most, and how far, as a share of that channel's largest value."""
    apart: dict[str, float] = {}
    for name, value in expected.items():
        axis = 1 if value.ndim == 4 else -1
        channels = zip(found[name].movedim(axis, 0), value.movedim(axis, 0), strict=True)
        apart[name] = max((difference(one, other) for one, other in channels), default=0.0)
    worst = max(apart, key=lambda name: apart[name])
    return worst, apart[worst]


def _same_in_double(detector: Detector, model: Detector, images: Tensor) -> bool:
    """Whether the two compute the same in float64; False where they cannot compute in it."""
    try:
        expected, found = (_run(copied(each).double(), images.double()) for each in (detector, model))
        return worst_head(expected, found)[1] <= ALLOWED_DOUBLE
    except RuntimeError:
        return False


def _own_rounding(detector: Detector, images: Tensor) -> float:
    """What rounding may do to a copy, by what it does to the detector; 0 where that cannot compute in float64."""
    try:
        exact = _run(copied(detector).double(), images.double())
    except RuntimeError:
        return 0.0
    rounded = {name: value.to(exact[name].dtype) for name, value in _run(detector, images).items()}
    return ALLOWED_ROUNDINGS * worst_head(exact, rounded)[1]


def _first_apart(detector: Detector, model: Detector, images: Tensor) -> str:
    """The module that returns first whose results differ; of what was replaced, a layer with a norm folded into it
    differs rightly."""
    expected, found = (_results(each, images[:1]) for each in (detector, model))
    for name, results in expected.items():
        apart = name in found and not all(map(all_same, found[name], results))
        if apart and type(model.get_submodule(name)) is type(detector.get_submodule(name)):
            return f"the module {name} ({type(detector.get_submodule(name)).__name__})" if name else "its forward"
    return "its forward"


def _results(model: Detector, images: Tensor) -> dict[str, list[list[Tensor]]]:
    """What each module returned, call by call, in the order of returning."""
    names = {module: name for name, module in model.named_modules()}
    results: dict[str, list[list[Tensor]]] = {}

    def after(module: nn.Module, _: object, output: object) -> None:
        kept = [value.clone() for value in outputs_of(output) if not value.is_nested]
        results.setdefault(names[module], []).append(kept)

    with watching(names, lambda *_: None, after):
        _run(model, images)
    return results
