"""The pipeline of quantization: transforms and quantizers of others go through it without a file being touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize, scheme
from sfcore.quant.convert import convert
from sfcore.quant.fidelity import require_same
from sfcore.quant.methods import methods
from sfcore.quant.quantizers import QUANTIZERS, Quantizer, full_precision, quantizers
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.quant.transforms import TRANSFORMS, Transform
from sfcore.registries import Registry


@pytest.fixture
def registered() -> Iterator[Any]:
    """Registers a thing for the length of a test."""
    added: list[tuple[Registry[Any], str]] = []

    def register(registry: Registry[Any], name: str, thing: Any) -> None:
        registry.register(name)(thing)
        added.append((registry, name))

    yield register
    for registry, name in added:
        del registry._things[name], registry._owners[name]


class Halved(Transform):
    """A weight is halved, and what it puts out doubled, by a buffer that is filled on the batches."""

    seen: list[int]

    def restructure(self, model: Detector, example: Tensor) -> dict[str, str]:
        model.middle.register_buffer("factor", torch.ones(()))
        return {"middle": "its factor is a buffer"}

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> None:
        type(self).seen = [len(batch) for batch in batches]


def test_transforms_are_carried_out_by_name_and_in_order(small: Detector, pixels: Tensor, registered: Any) -> None:
    registered(TRANSFORMS, "halved", Halved)
    batches = list(small.preprocessing.normalize(pixels).split(8))
    model = quantize(small, Scheme.parse("W8A8"), batches, transforms=("fold-batch-norm", "halved"))
    assert Halved.seen == [8, 8, 8] and model.full_precision["middle"] == "its factor is a buffer"
    with pytest.raises(InputError, match="there is no transform 'nothing'"):
        quantize(small, Scheme.parse("W8A8"), batches, transforms=("nothing",))


def test_without_folding_norms_stay_and_the_copy_computes_the_same(small: Detector, pixels: Tensor) -> None:
    images = small.preprocessing.normalize(pixels)
    model = convert(small, Scheme.parse("W8A8"), transforms=())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) > 1
    with full_precision(model):
        require_same(small, model, images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in convert(small, Scheme.parse("W8A8")).modules())


class Sign(Quantizer):
    """One bit: the sign times the mean magnitude of each row."""

    possible = range(1, 3)
    learnable = frozenset({"steps"})

    @property
    def limits(self) -> tuple[int, int]:
        return -1, 1

    def rounded(self, x: Tensor) -> Tensor:
        return x.sign() * self.scale

    def calibrate(self, batches: Sequence[Tensor], negative: bool, search: Any) -> None:
        self.set_range(torch.cat(list(batches), 1).abs().mean(1), signed=True)


def test_another_quantizer_is_calibrated_and_tuned(
    small: Detector, pixels: Tensor, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(QUANTIZERS, "sign", Sign)
    bits = Scheme.bits_of
    monkeypatch.setattr(
        scheme.Scheme, "bits_of",
        lambda self, layer, edge, head=False: bits(self, layer, edge, head)._replace(
            weight_quantizer="sign" if layer == "middle" else "uniform"
        ),
    )  # fmt: skip
    model = quantize(small, Scheme.parse("W8A8"), [small.preprocessing.normalize(pixels)], bias_correction=False)
    own = dict(quantizers(model))["middle.weight_quantizer"]
    assert isinstance(own, Sign)
    rows = own(model.get_submodule("middle").weight).abs()
    assert torch.allclose(rows, model.get_submodule("middle").weight.abs().mean(1, keepdim=True).expand_as(rows))
    for name in ("lsq-plus", "adaround"):
        tuned = quantize(small, Scheme.parse("W8A8"), [small.preprocessing.normalize(pixels)], bias_correction=False)
        recipe = replace(methods()[name](), iterations=2, batch=4)
        tuner = Tuner(small, tuned, pixels[:16], pixels[16:], recipe)
        while not tuner.done:
            tuner.step()
    fresh = convert(small, Scheme.parse("W8A8"))
    fresh.load_state_dict(model.state_dict())
    assert all(q.integers.low == dict(quantizers(model))[n].integers.low for n, q in quantizers(fresh))
