"""What runs on a GPU is held to a GPU's rules, without one: see :mod:`tests.devices.apart`."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create, entries
from sfcore.devices import constant
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods import METHODS
from sfcore.quant.objectives import OBJECTIVES, check_objective
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.sensitivity.curves import CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import noise_level
from tests.devices.apart import DEVICE, Apart, Mixed, generators, to_device, watching

SHIPPED = [each.name for each in entries() if each.weights]
SUBJECTS = {name: "bezierlanenet-tiny" for name in METHODS} | {"lidar-ptq": "condlanenet-tiny"}


def frames_of(detector: Detector, count: int) -> Tensor:
    return detector.preprocessing.example(count, torch.Generator().manual_seed(0))


def there(value: object) -> bool:
    return isinstance(value, Apart) and value.device == DEVICE


@pytest.fixture(autouse=True)
def _generators() -> Iterator[None]:
    with generators():
        yield


def test_the_rules_are_seen_to() -> None:
    with watching() as seen:
        on, off = torch.ones(3).to(DEVICE), torch.ones(3)
        assert there(on + 1) and there(torch.arange(3, device=DEVICE)) and not there(on.cpu())
        with pytest.raises(Mixed, match="two devices"):
            on + off
        seen.forget()
        assert float(on.sum()) == 3 and on[on > 0].tolist() == [1, 1, 1]
        assert seen.reads == ["aten._local_scalar_dense.default", "tolist"] and seen.shaped == ["aten.index.Tensor"]
        off.to(DEVICE, non_blocking=True)
        assert not seen.copies
        on.to("cpu"), torch.tensor([1.0], device=DEVICE), on.new_tensor([2.0])
        assert len(seen.copies) == 3


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_never_waits_and_its_answers_stay_on_the_device(name: str) -> None:
    detector = create(name).requires_grad_(False)
    frames = frames_of(detector, 2)
    expected = detector.task.distortion(*[detector.decode(run(detector, frames))] * 2).score
    to_device(detector)
    with watching() as seen:
        run(detector, frames)
        seen.forget()  # what is constant has been sent
        outputs = run(detector, frames)
        assert all(map(there, outputs.values()))
        assert not seen.reads and not seen.copies and not seen.shaped
        found = detector.decode(outputs)
        assert there(found.score)
        moved = detector.task.distortion(found, found)
        assert moved.score.cpu().tolist() == expected.tolist()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SHIPPED)
def test_an_objective_never_reads_what_it_computes(name: str, objective: str) -> None:
    detector = create(name).requires_grad_(False)
    try:
        check_objective(objective, detector)
    except InputError:
        pytest.skip(f"{name} has nothing that {objective} counts")
    to_device(detector)
    with watching() as seen:
        outputs = detector(detector.preprocessing.normalize(frames_of(detector, 1).to(DEVICE)))
        noisy = {head: value + 0.01 for head, value in outputs.items()}
        heads = tuple(outputs)
        OBJECTIVES[objective](detector, noisy, outputs, heads, 2.0)  # constants are sent
        seen.forget()
        terms = OBJECTIVES[objective](detector, noisy, outputs, heads, 2.0)
        assert there(terms.total)
        # The full-precision network's positives are decoded, and decoding goes by what was found.
        assert objective == "global-positive" or not (seen.reads or seen.copies)


def test_curves_are_measured_where_the_network_is() -> None:
    detector = create("bezierlanenet-tiny").requires_grad_(False)
    outputs, settings = run(detector, frames_of(detector, 2)), CurveSettings(reruns=1)
    expected = noise_score_curves(detector, outputs, settings)
    to_device(detector)
    with watching():
        away = {head: value.to(DEVICE) for head, value in outputs.items()}
        found = noise_score_curves(detector, away, settings)
    assert found.curves["curves"].score == pytest.approx(expected.curves["curves"].score)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name]().iterations])
def test_a_step_reads_its_numbers_once(method: str) -> None:
    detector = create(SUBJECTS[method]).requires_grad_(False)
    frames = frames_of(detector, 4)
    quantized = quantize(detector, Scheme.parse("W4A4"), [detector.preprocessing.normalize(frames[:2])])
    recipe = METHODS[method](iterations=3, batch=2, check_every=1000, reselect_every=1000)
    settings = CurveSettings(reruns=1)
    curves = noise_score_curves(detector, run(detector, frames[:1]), settings) if recipe.needs_curves else None
    detector, quantized = (to_device(copy.deepcopy(model)) for model in (detector, quantized))
    with watching() as seen:
        tuner = Tuner(detector, quantized, frames, frames[:1], recipe, curves)
        while tuner.iteration < 1:
            tuner.step()
        seen.forget()
        event = tuner.step()
        assert seen.reads == ["tolist"] and not seen.copies and not seen.shaped
    assert isinstance(event["loss"], float) and all(isinstance(v, float) for v in event.get("noise", {}).values())


def test_noise_levels_are_those_of_the_definition() -> None:
    reference, error = torch.tensor([3.0, 4.0]), torch.tensor([0.3, -0.4])
    assert float(noise_level(reference + error, reference)) == pytest.approx(0.1)
    assert float(noise_level(torch.zeros(2), torch.zeros(2))) == 0
    assert float(noise_level(torch.ones(2), torch.zeros(2))) == float("inf")
    assert float(noise_level(torch.tensor([float("nan")]), torch.ones(1))) != 0


def test_what_tracing_makes_is_no_constant() -> None:
    values = (1.5, 2.5)
    with FakeTensorMode():
        constant(values, torch.device("cpu"))
    assert constant(values, torch.device("cpu")).tolist() == [1.5, 2.5]
