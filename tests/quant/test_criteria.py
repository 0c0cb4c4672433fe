"""Each criterion against direct computation: by switching quantizers on, and on networks whose Hessian is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfcore.quant.sensitivities as module
from sfcore.detectors.base import Detector, Outputs, Preprocessing
from sfcore.quant import Scheme, quantize
from sfcore.quant.criteria import CRITERIA
from sfcore.quant.criteria.cosine import CosineCriterion
from sfcore.quant.inference import run
from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.quant.ranges import Ranges
from sfcore.quant.sensitivities import by_criteria
from tests.detectors.small import Small

WIDTHS = (3, 8)
ALL_AT = "W{0}A{0},stem={0},classify={0},place={0}"  # a first or last layer is one that is called by its name
Place = tuple[str, int]


class Line(Small):
    """Each of four features alone decides one of four outputs, and all is linear: the Hessian is diagonal."""

    def __init__(self) -> None:
        Detector.__init__(self)
        torch.manual_seed(0)
        self.preprocessing = Preprocessing((4, 4), (0.5,) * 3, (0.25,) * 3)
        self.frame, self.rows = (4, 4), torch.arange(0.0, 4.0)
        self.first = nn.Linear(48, 4)
        self.classify, self.place = nn.Linear(2, 2), nn.Linear(2, 2)
        self.classify.weight.data = torch.diag(torch.tensor([0.7, -1.9]))
        self.place.weight.data = torch.diag(torch.tensor([3.1, 0.4]))
        self.eval().requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.first(images.flatten(1))
        return found

    def forward(self, images: Tensor) -> Outputs:
        x = self.features(images)
        return {"logits": self.classify(x[:, :2]).unsqueeze(-1), "column": self.place(x[:, 2:]).unsqueeze(-1)}


class Cancelling(Line):
    """A layer is called twice, and what it does goes away again: its weight decides nothing, though each call does."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)
        self.eval().requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        x = super().features(images)
        return x + self.twice(x) - self.twice(x)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.randint(0, 256, (5, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> Small:
    torch.manual_seed(0)
    return Small().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ranges(network: Small, frames: Tensor) -> Ranges:
    return ranges_of(network, frames)


@pytest.fixture
def tiles() -> Tensor:
    """(6, 3, 4, 4) uint8."""
    return torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def ranges_of(detector: Detector, frames: Tensor) -> Ranges:
    return Ranges.of(detector, Scheme(8, 8), list(detector.preprocessing.normalize(frames).split(4)))


def measured(ranges: Ranges, frames: Tensor, widths: tuple[int, ...], criterion: str) -> dict[Place, float]:
    return dict(by_criteria(ranges, frames, widths, [criterion], keep=False)[criterion].harm)


def direct(
    detector: Detector, frames: Tensor, harm: Callable[[Detector, Outputs, Outputs], float]
) -> dict[Place, float]:
    """The harm of each quantizer, by a model that is calibrated as ever and switched on one by one."""
    batches, found = list(detector.preprocessing.normalize(frames).split(4)), {}
    for bits in WIDTHS:
        model = quantize(detector, Scheme.parse(ALL_AT.format(bits)), batches, bias_correction=False)
        with full_precision(model):
            full = run(model, frames)
            for name, quantizer in quantizers(model):
                quantizer.active = True
                found[name, bits] = harm(model, full, run(model, frames))
                quantizer.active = False
    return found


def distortion(model: Detector, full: Outputs, outputs: Outputs) -> float:
    return float(model.task.distortion(model.decode(full), model.decode(outputs)).score.mean())


def mse(_: Detector, full: Outputs, outputs: Outputs) -> float:
    shares = [((outputs[head] - y).double() ** 2).sum() / (y.double() ** 2).sum() for head, y in full.items()]
    return float(sum(shares))


def cosine(_: Detector, full: Outputs, outputs: Outputs) -> float:
    pairs = [(outputs[head].double().numpy().ravel(), y.double().numpy().ravel()) for head, y in full.items()]
    return float(sum(1 - (a @ b) / np.sqrt((a @ a) * (b @ b)) for a, b in pairs))


@pytest.mark.parametrize("harm", [distortion, mse, cosine])
def test_harms_told_from_outputs_are_those_of_one_quantizer_on(
    harm: Any, network: Small, ranges: Ranges, frames: Tensor
) -> None:
    found = measured(ranges, frames, WIDTHS, harm.__name__)
    expected = direct(network, frames, harm)
    assert found.keys() == expected.keys() and max(found.values()) > 1e-3
    for place, value in expected.items():
        assert found[place] == pytest.approx(value, rel=1e-3, abs=1e-7), place


@pytest.mark.parametrize("kind", [name for name in CRITERIA if "harm" in vars(CRITERIA[name])])
def test_outputs_that_are_the_reference_do_no_harm_at_all(kind: str, network: Small, frames: Tensor) -> None:
    full = run(network, frames)
    full["logits"] = torch.zeros_like(full["logits"])  # a head that is silent on these frames
    assert CRITERIA[kind](network, full).harm({head: y.clone() for head, y in full.items()}) == 0.0  # type: ignore[call-arg, attr-defined]


def test_a_silent_head_that_wakes_up_is_a_right_angle(network: Small, frames: Tensor) -> None:
    full = run(network, frames) | {"logits": torch.zeros(5, 2, 1)}
    assert CosineCriterion(network, full).harm(full | {"logits": torch.ones(5, 2, 1)}) == pytest.approx(1.0)


def errors(line: Line, tiles: Tensor, bits: int) -> dict[str, Tensor]:
    """What each quantizer adds to what it reads in full precision, (frames, ...) or a weight's."""
    batches = list(line.preprocessing.normalize(tiles).split(4))
    scheme = Scheme.parse(f"W{bits}A{bits},first={bits},classify={bits},place={bits}")
    model, read = quantize(line, scheme, batches, bias_correction=False), {}
    with full_precision(model):
        for name, quantizer in quantizers(model):
            quantizer.register_forward_hook(lambda q, x, y, name=name: read.update({name: x[0].clone()}))
        model(line.preprocessing.normalize(tiles))
    return {name: (q.rounded(read[name]) - read[name]).detach() for name, q in quantizers(model)}


def curvature(line: Line, tiles: Tensor, head: str, layer: nn.Linear) -> Tensor:
    """(2,) by which a squared error of each of a head's two inputs counts: half the loss's second derivative."""
    y = line(line.preprocessing.normalize(tiles))[head]
    return layer.weight.diag().square() / y.square().sum()


@pytest.mark.parametrize("head", ["logits", "column"])
def test_on_a_linear_network_gradients_tell_the_error_of_activations_exactly(head: str, tiles: Tensor) -> None:
    line = Line()
    layer, name = {"logits": (line.classify, "classify"), "column": (line.place, "place")}[head]
    error = errors(line, tiles, 3)[f"{name}.input_quantizer"]
    diagonal = curvature(line, tiles, head, layer)
    found = by_criteria(ranges_of(line, tiles), tiles, [3], ["gradient", "hessian", "mse"], keep=False)
    place = (f"{name}.input_quantizer", 3)
    assert found["gradient"].harm[place] == pytest.approx(float((diagonal * error.square()).sum()), rel=1e-4)
    # It is the error of the outputs itself where nothing is but linear.
    assert found["gradient"].harm[place] == pytest.approx(found["mse"].harm[place], rel=1e-3)
    parts = zip(error.split(module.GRADIENT_BATCH), strict=True)
    trace = sum(float(diagonal.mean() * part.square().sum()) for (part,) in parts)
    assert found["hessian"].harm[place] == pytest.approx(trace, rel=1e-4)


def test_on_one_frame_gradients_tell_the_error_of_weights_exactly(tiles: Tensor) -> None:
    line, one = Line(), tiles[:1]
    error = errors(line, one, 3)["place.weight_quantizer"]
    x = line.features(line.preprocessing.normalize(one))[0, 2:]
    y = line(line.preprocessing.normalize(one))["column"]
    squares = x.square().expand(2, 2) / y.square().sum()  # of each weight, by what it is multiplied with
    found = by_criteria(ranges_of(line, one), one, [3], ["gradient", "hessian"], keep=False)
    place = ("place.weight_quantizer", 3)
    assert found["gradient"].harm[place] == pytest.approx(float((squares * error.square()).sum()), rel=1e-4)
    assert found["hessian"].harm[place] == pytest.approx(float(squares.mean() * error.square().sum()), rel=1e-4)


def test_over_frames_random_signs_tell_the_error_of_weights_on_average(
    tiles: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAWS", 600)
    line = Line()
    error = errors(line, tiles, 3)["place.weight_quantizer"]
    x = line.features(line.preprocessing.normalize(tiles))[:, 2:]
    y = line(line.preprocessing.normalize(tiles))["column"]
    squares = x.square().sum(0).expand(2, 2) / y.square().sum()
    found = measured(ranges_of(line, tiles), tiles, (3,), "gradient")["place.weight_quantizer", 3]
    assert found == pytest.approx(float((squares * error.square()).sum()), rel=0.2)


def test_gradients_do_not_depend_on_how_many_frames_go_back_at_once(
    tiles: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, place = Line(), ("place.input_quantizer", 3)
    found = []
    for batch in (1, 4, 6):
        monkeypatch.setattr(module, "GRADIENT_BATCH", batch)
        found.append(measured(ranges_of(line, tiles), tiles, (3,), "gradient")[place])
    assert found[1:] == pytest.approx(found[:1] * 2, rel=1e-4)


@pytest.mark.parametrize("criterion", ["gradient", "hessian"])
def test_a_weight_that_several_calls_read_is_one_weight(criterion: str, tiles: Tensor) -> None:
    found = measured(ranges_of(Cancelling(), tiles), tiles, (3,), criterion)
    assert found["twice.weight_quantizer", 3] == pytest.approx(0.0, abs=1e-9 * found["place.weight_quantizer", 3])
    assert found["twice.input_quantizer", 3] > 0  # each call rounds what it reads


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_more_bits_do_less_harm(criterion: str, ranges: Ranges, frames: Tensor) -> None:
    found = measured(ranges, frames, (2, 8), criterion)
    names = {name for name, _ in found}
    assert names == set(ranges.names)
    assert all(np.isfinite(value) and value >= 0 for value in found.values())
    assert sum(found[name, 8] for name in names) < 0.05 * sum(found[name, 2] for name in names)
