"""The pipeline of quantization: transforms and quantizers of others go through it without a file being touched."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize, scheme
from sfcore.quant.capture import captured
from sfcore.quant.convert import convert
from sfcore.quant.fidelity import require_same
from sfcore.quant.hooks import hooks
from sfcore.quant.inference import prepared
from sfcore.quant.methods import methods
from sfcore.quant.quantizers import QUANTIZERS, Quantizer, full_precision, quantizers
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.quant.same import all_same
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


class Balanced(Transform):
    """What "middle" reads is shifted and scaled to -1…1, channel by channel, and its weight and bias undo it."""

    def extend(self, model: Detector) -> None:
        quantizer, weight = model.middle.input_quantizer, model.middle.weight
        quantizer.register_buffer("shift", torch.zeros_like(weight[0]))
        quantizer.register_buffer("factor", torch.ones_like(weight[0]))
        quantizer.register_forward_pre_hook(_balance)

    @torch.no_grad()
    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> None:
        layer, seen = model.middle, []
        with full_precision(model), hooks([layer], before=lambda _, inputs: seen.append(inputs[0])):
            for batch in batches:
                model(batch)
        low, high = torch.cat(seen).aminmax(dim=0)
        layer.input_quantizer.shift.copy_((low + high) / 2)
        layer.input_quantizer.factor.copy_((high - low) / 2)
        layer.bias.add_(layer.weight @ layer.input_quantizer.shift)
        layer.weight.mul_(layer.input_quantizer.factor)


def _balance(quantizer: Any, inputs: tuple[Tensor]) -> Tensor:
    return (inputs[0] - quantizer.shift) / quantizer.factor


class Unfaithful(Transform):
    """Its fit changes what the network computes."""

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> None:
        model.middle.weight.data.mul_(2.0)


@torch.no_grad()
def test_a_transform_shifts_and_scales_what_a_layer_reads(small: Detector, pixels: Tensor, registered: Any) -> None:
    registered(TRANSFORMS, "balanced", Balanced)
    names = ("fold-batch-norm", "balanced")
    images = small.preprocessing.normalize(pixels)
    batches = list(images.split(8))
    model = quantize(small, Scheme.parse("W8A8"), batches, bias_correction=False, transforms=names)
    quantizer = model.middle.input_quantizer
    seen: list[Tensor] = []
    with full_precision(model), hooks([quantizer], before=lambda _, inputs: seen.append(inputs[0])):
        model(images)
    assert torch.allclose(seen[0].abs().amax(0), torch.ones(8)) and float(quantizer.shift.abs().max()) > 0.1
    again = convert(small, Scheme.parse("W8A8"), names)
    again.load_state_dict(model.state_dict())
    assert all(torch.equal(value, again(images)[head]) for head, value in model(images).items())


def test_a_transform_whose_fit_changes_what_is_computed_is_refused(
    small: Detector, pixels: Tensor, registered: Any
) -> None:
    registered(TRANSFORMS, "unfaithful", Unfaithful)
    with pytest.raises(InputError, match="cannot be quantized faithfully"):
        quantize(small, Scheme.parse("W8A8"), [small.preprocessing.normalize(pixels)], transforms=("unfaithful",))


def test_an_unknown_transform_is_refused(small: Detector, pixels: Tensor) -> None:
    with pytest.raises(InputError, match="there is no transform 'nothing': choose one of fold-batch-norm"):
        quantize(small, Scheme.parse("W8A8"), [small.preprocessing.normalize(pixels)], transforms=("nothing",))


@pytest.mark.parametrize(
    "transforms", [(), ("fold-batch-norm",), ("fold-batch-norm", "balanced"), ("fold-batch-norm", "shift-scale")]
)
@pytest.mark.parametrize("method", ["brecq", "qdrop"])
def test_reconstruction_compares_with_a_teacher_of_the_same_transforms(
    small: Detector, pixels: Tensor, registered: Any, transforms: tuple[str, ...], method: str
) -> None:
    registered(TRANSFORMS, "balanced", Balanced)
    model = quantize(
        small, Scheme.parse("W8A8"), [small.preprocessing.normalize(pixels)], bias_correction=False,
        transforms=transforms,
    )  # fmt: skip
    tuner = Tuner(small, model, pixels[:16], pixels[16:], replace(methods()[method](), granularity="layer"))
    assert tuner.teacher is not None and "stem" in [unit.name for unit in tuner.units if unit]
    for unit in filter(None, tuner.units):
        with full_precision(model):
            own, teachers = (
                captured(each, unit.name, unit.calls, prepared(each, pixels[:4])) for each in (model, tuner.teacher)
            )
        for found, expected in zip(own, teachers, strict=True):
            assert all_same([*found.inputs, *found.outputs], [*expected.inputs, *expected.outputs]), unit.name


def test_without_folding_norms_stay_and_the_copy_computes_the_same(small: Detector, pixels: Tensor) -> None:
    images = small.preprocessing.normalize(pixels)
    model = convert(small, Scheme.parse("W8A8"), transforms=())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) > 1
    with full_precision(model):
        require_same(small, model, images)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in convert(small, Scheme.parse("W8A8")).modules())


class Magnifier(nn.Module):
    """The small difference of two nearly equal layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Linear(8, 4), nn.Linear(8, 4)
        self.other.load_state_dict({name: value * (1 + 1e-4) for name, value in self.one.state_dict().items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"difference": self.one(x) - self.other(x)}


@torch.no_grad()
def test_a_copy_may_differ_by_what_rounding_does_to_the_network_itself_and_by_no_more() -> None:
    network, x = Magnifier(), torch.randn(16, 8)
    last_digit, wrong = copy.deepcopy(network), copy.deepcopy(network)
    last_digit.one.weight *= 1 + 2**-23
    wrong.one.weight *= 1 + 2e-6
    assert not torch.allclose(network(x)["difference"], last_digit(x)["difference"], rtol=1e-4, atol=0)
    require_same(cast(Any, network), cast(Any, last_digit), x)
    with pytest.raises(InputError, match="another difference"):
        require_same(cast(Any, network), cast(Any, wrong), x)


class Sign(Quantizer):
    """One bit: the sign times the mean magnitude of each row."""

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
