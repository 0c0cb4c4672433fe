"""Reconstruction layer by layer and block by block: it mends, resumes to the bit, and keeps to its memory."""

from __future__ import annotations

import copy
import gc
import tempfile
import weakref
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.capture import captured
from sfcore.quant.inference import prepared
from sfcore.quant.methods import methods
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.quantizers import quantizers
from sfcore.quant.reconstruct import cache
from sfcore.quant.reconstruct import unit as unit_reconstruction
from sfcore.quant.reconstruct.cache import Cache, InMemory, memory_budget, pack, plan, unpack
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.quant.reconstruct.saved_bytes import bytes_saved
from sfcore.quant.reconstruct.unit import UnitReconstruction, _error
from sfcore.quant.reconstruct.units import find_units

UNITWISE = sorted(name for name, config in methods().items() if config().granularity != "net")
Build = Callable[..., Tuner]
BRISK = {"iterations": 5, "batch": 2, "learning_rate": 0.05, "warm_up": 0.2}


@pytest.fixture
def calibrated(small: Detector, pixels: Tensor) -> Detector:
    return quantize(small, Scheme.parse("W3A3"), [small.preprocessing.normalize(pixels)])


@pytest.fixture
def tuner(small: Detector, calibrated: Detector, pixels: Tensor) -> Callable[..., Tuner]:
    def made(recipe: Recipe, memory: int = 10**9) -> Tuner:
        model = copy.deepcopy(calibrated)
        return Tuner(small, model, pixels[:12], pixels[12:16], recipe, seed=1, memory=memory)

    return made


def stepped(made: Tuner, most: int | None = None) -> list[dict[str, Any]]:
    """The events of the next steps, or of all that are left."""
    events: list[dict[str, Any]] = []
    while not made.done and len(events) != most:
        event = made.step()
        if "loss" in event:
            events.append(event)
    return events


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_units_error_falls_while_it_is_tuned(tuner: Build):
    made = tuner(replace(methods()["qdrop"](), **(BRISK | {"iterations": 40, "batch": 8})))
    errors = [event["terms"]["reconstruction"] for event in stepped(made, 80)[40:]]  # of the block after the stem
    assert sum(errors[-10:]) / 10 < 0.8 * errors[0]


@pytest.mark.parametrize("name", UNITWISE)
def test_a_tuning_resumed_within_a_unit_ends_in_the_same_bits(tuner: Build, name: str):
    recipe = replace(methods()[name](), **BRISK)
    whole = tuner(recipe)
    events = stepped(whole)

    second = tuner(recipe)
    for stop in (7, 3):  # in the middle of the second unit, then between two
        saved = {key: value.clone() for key, value in second.state().items()}
        second = tuner(recipe)
        second.load_state(saved)
        taken = second.iteration
        assert stepped(second, stop) == events[taken : taken + stop]
    second.step()  # only records
    third = tuner(recipe)
    third.load_state(second.state())
    assert stepped(third) == events[10:]
    assert same(third.state(), whole.state())


def test_events_say_which_unit_and_how_far_all_are(tuner: Build):
    made = tuner(replace(methods()["brecq"](), **BRISK))
    events = stepped(made)
    names = [unit.name for unit in made.units]
    assert names == ["stem", "block", "attention", "middle", "classify", "place"]  # a product has nothing to round
    assert [event["iteration"] for event in events] == list(range(1, 31))
    assert {event["iterations"] for event in events} == {30}
    assert [event["unit"] for event in events[4:6]] == [[1, 6, "stem"], [2, 6, "block"]]
    assert [place + 1 for place, event in enumerate(events) if "held_back" in event] == [5, 10, 15, 20, 25, 30]
    for event in events:
        assert event["loss"] == pytest.approx(sum(event["terms"].values()), rel=1e-5)
    assert "rounding" not in events[0]["terms"] and "rounding" in events[1]["terms"]  # the warm-up is one step


@pytest.mark.parametrize("name", ["adaround", "qdrop"])
def test_a_batch_in_parts_is_the_batch(tuner: Build, name: str, monkeypatch: pytest.MonkeyPatch):
    recipe = replace(methods()[name](), **BRISK | {"batch": 7, "drop": 0.0})
    whole, halved = tuner(recipe), tuner(recipe)
    expected = stepped(whole)
    third = unit_reconstruction.PART["cpu"] // 3
    monkeypatch.setattr(UnitReconstruction, "_saved", lambda _: third)  # three images, three, and one
    sizes: list[int] = []
    loss = UnitReconstruction.loss
    monkeypatch.setattr(UnitReconstruction, "loss", lambda *args: (sizes.append(len(args[1][1][0][0])), loss(*args))[1])
    for event, other in zip(expected, stepped(halved), strict=True):
        assert other["loss"] == pytest.approx(event["loss"], rel=1e-3)
        assert other["loss"] == pytest.approx(sum(other["terms"].values()), rel=1e-5)
    assert sizes[:6] == [3, 3, 1, 3, 3, 1]
    after = halved.quantized.state_dict()
    for key, value in whole.quantized.state_dict().items():
        torch.testing.assert_close(after[key], value, atol=1e-3, rtol=1e-3)


def test_what_a_forward_pass_keeps_is_counted_once():
    x, weight = torch.ones(5, 4), torch.ones(3, 4, requires_grad=True)
    assert bytes_saved(lambda: x @ weight.T) == 5 * 4 * 4  # for the weight's gradient its input
    assert bytes_saved(lambda: ((x @ weight.T).exp(), x @ weight.T)) == 4 * (5 * 4 + 5 * 3)  # and an exp its output


def test_the_parts_of_a_batch_are_as_many_as_fit(small: Detector, calibrated: Detector, pixels: Tensor):
    unit = next(unit for unit in find_units(calibrated, "layer") if unit.name == "middle")
    task = UnitReconstruction(unit, calibrated, calibrated, small, pixels[:16], 16, 0.0, "memory")
    # (B, 8) floats: the quantizer's input, output and mask, and its output once more as the layer's input.
    assert 8 * 4 <= task._saved() <= 8 * (3 * 4 + 1)
    assert task.most == 16


def test_the_end_is_an_ordinary_quantized_model(tuner: Build):
    made = tuner(replace(methods()["qdrop"](), **BRISK))
    model = made.quantized
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stepped(made)
    after = model.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "block.conv1.weight" in changed and "block.conv1.input_quantizer.scale" in changed
    assert not any(name.endswith(("bias", "weight_quantizer.scale")) for name in changed)
    assert all(quantizer.active for _, quantizer in quantizers(model))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    layer = model.get_submodule("block.conv1")
    assert torch.equal(layer.weight_quantizer(layer.weight), layer.weight)


def test_inputs_are_those_of_the_quantized_network_so_far_and_of_the_other_where_dropped(
    small: Detector, calibrated: Detector, pixels: Tensor
):
    model, teacher = calibrated, small
    unit = next(unit for unit in find_units(model, "block") if unit.name == "middle")

    def drawn(drop: float) -> tuple[Tensor, Tensor, Tensor]:
        task = UnitReconstruction(unit, model, model, teacher, pixels[:16], 16, drop, "memory")
        task.cache.fill(60.0)
        (inputs,), (targets,) = task.draw(0, *(torch.Generator().manual_seed(3) for _ in range(2)))
        index = torch.randint(16, (16,), generator=torch.Generator().manual_seed(3))
        return inputs[0], targets[0], index

    def seen(network: Detector, index: Tensor) -> Tensor:
        return captured(network, "middle", 1, prepared(network, pixels[index]))[0].inputs[0]

    quantized, targets, index = drawn(0.0)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(quantized, seen(model, index), **close)
    torch.testing.assert_close(drawn(1.0)[0], seen(teacher, index), **close)
    torch.testing.assert_close(targets, teacher.middle(seen(teacher, index)), **close)
    half = drawn(0.5)[0]
    assert ((half == quantized) | (half == drawn(1.0)[0])).all()
    assert 0.2 < (half == quantized).float().mean() < 0.8


def test_errors_are_summed_over_channels_and_averaged_over_the_rest():
    maps = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])  # one image, two channels, one row of two cells
    assert _error(maps, torch.zeros_like(maps)).item() == pytest.approx((1 + 4 + 0 + 1) / 2)
    tokens = torch.tensor([[[1.0, 2.0]], [[0.0, 1.0]], [[2.0, 0.0]]])  # three cells of one image, two channels
    assert _error(tokens, torch.zeros_like(tokens)).item() == pytest.approx((1 + 4 + 0 + 1 + 4 + 0) / 3)


def test_memory_disk_and_neither_give_the_same_bits(tuner: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    recipe = replace(methods()["qdrop"](), **(BRISK | {"iterations": 3}))
    room = namedtuple("room", "free")
    found = {}
    for place, memory, free in (("memory", 10**9, 10**9), ("disk", 1, 10**9), ("recomputed", 1, 1)):
        monkeypatch.setattr(cache.shutil, "disk_usage", lambda _, free=free: room(free))
        made = tuner(recipe, memory)
        assert made.plan.place == place
        found[place] = (stepped(made, 7), made.state())
        assert not list(tmp_path.iterdir())  # what is on disk has no name
    events, state = found.pop("memory")
    for other_events, other_state in found.values():
        assert other_events == events and same(other_state, state)


def test_nothing_of_a_unit_outlives_it(tuner: Build):
    made = tuner(replace(methods()["qdrop"](), **BRISK))
    kept: list[weakref.ref[Any]] = []
    for _ in made.units:
        gc.collect()
        assert not any(each() is not None for each in kept)
        stepped(made, 4)
        work = made.work
        assert work and work.reconstruction.cache and isinstance(work.reconstruction.cache._table, InMemory)
        kept = [weakref.ref(each) for each in (work, work.learned, *work.reconstruction.cache._table.tensors)]
        del work
        stepped(made, 1)


def test_soft_rounding_net_wise_is_checked_as_it_would_be_handed_back(tuner: Build):
    made = tuner(Recipe(learn=("rounding",), iterations=20, learning_rate=0.1, check_every=10))
    events = stepped(made, 10)
    assert made.work and events[-1]["held_back"] == made._held_back_distortion()
    changed = made._held_back_distortion()
    with made.work.learned.in_effect(made.iteration):
        assert made._held_back_distortion() != changed  # in between, weights lie off the grid
    assert stepped(made)[-1]["held_back"] == made._held_back_distortion()


def test_a_plan_says_what_is_needed_and_where_it_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: namedtuple("room", "free")(4 * 10**9))
    assert str(plan(3_100_000_000, 2_000_000_000)) == (
        "activations need 3.1 GB, 2.0 GB of memory are theirs: caching on disk"
    )
    assert [plan(10**9 * n, 2 * 10**9).place for n in (2, 3, 4)] == ["memory", "disk", "recomputed"]


def test_the_budget_is_what_is_asked_or_a_third_of_what_is_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "free_memory", lambda _: 6 * 10**9)
    monkeypatch.delenv(cache.MEMORY, raising=False)
    assert memory_budget(torch.device("cpu")) == 2 * 10**9
    monkeypatch.setenv(cache.MEMORY, "0.5")
    assert memory_budget(torch.device("cpu")) == 5 * 10**8
    for wrong in ("much", "0", "nan"):
        monkeypatch.setenv(cache.MEMORY, wrong)
        with pytest.raises(InputError, match=f"SFCORE_MEMORY = '{wrong}'"):
            memory_budget(torch.device("cpu"))


def test_the_estimate_is_what_the_cache_takes(tuner: Build):
    made = tuner(replace(methods()["qdrop"](), **BRISK))
    largest = 0
    while not made.done:
        stepped(made, 1)
        if made.work and made.work.reconstruction.cache:
            table = made.work.reconstruction.cache._table
            assert isinstance(table, InMemory)
            largest = max(largest, sum(tensor.nbytes for tensor in table.tensors))
    assert made.plan.needed == largest > 0


@pytest.mark.parametrize(("shape", "axis"), [((1, 3, 4, 5), 0), ((7, 1, 3), 1), ((4, 3), 0), ((2, 6, 1, 3), 2)])
def test_packed_rows_come_back_as_the_batch_that_they_were(shape: tuple[int, ...], axis: int):
    batch = torch.randn(*(3 * n if place == axis else n for place, n in enumerate(shape)))
    rows = [pack(part, axis) for part in batch.split(shape[axis], axis)]
    assert torch.equal(unpack(torch.stack(rows), axis), batch)


def test_a_full_disk_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    broken = Cache(lambda index: [torch.zeros(1, 4)], 2, "disk")
    with pytest.raises(InputError, match=r"cannot write .*gone"):
        broken.fill(1.0)
