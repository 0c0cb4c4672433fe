"""Weights are found in a checkpoint by what fits a detector, and refused where nothing can be computed with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.detectors.checkpoints import State, clean_keys, dictionaries, load_weights, read_checkpoint
from sfcore.detectors.registry import create, entry, fits, weights_keys
from sfcore.errors import InputError

NAME = "lstr-tiny"
FILTERS = "conv1.weight"  # a tensor of it with four axes
VARIANCE = "bn1.running_var"


@pytest.fixture(scope="module")
def of_lstr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "epoch_9.pth"
    state = entry("lstr-r18s").build().state_dict()
    torch.save({"epoch": 9, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    return path


@pytest.fixture(scope="module")
def weights() -> State:
    return dict(create(NAME).state_dict())


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "last.pth")
    return folder / "last.pth"


def loaded(path: Path, key: str | None = None) -> State:
    return dict(create(NAME, path, key=key).state_dict())


def equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def below(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def changed(state: State, change: Callable[[Tensor], Tensor], axes: int | None = None) -> State:
    """All floats of a state changed, or those of tensors with so many axes."""
    return {k: change(v) if v.is_floating_point() and axes in (None, v.ndim) else v for k, v in state.items()}


def test_the_message_names_the_detector_that_the_file_fits(of_lstr: Path):
    with pytest.raises(InputError, match=r"epoch_9\.pth is no checkpoint of this detector .*; it fits lstr-r18s$"):
        create("ganet-tiny", of_lstr)


def test_a_file_that_fits_nothing_gets_no_such_advice(tmp_path: Path):
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "odd.pth")
    assert fits(tmp_path / "odd.pth") == []
    with pytest.raises(InputError, match=r"choose the one it was trained as$"):
        create("ganet-tiny", tmp_path / "odd.pth")


def test_a_file_that_cannot_be_read_is_told_once(tmp_path: Path):
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(InputError, match=r"no readable safetensors file .* again$"):
        create("ganet-tiny", tmp_path / "cut.safetensors")


OPTIMIZER = {"state": {place: {"exp_avg": torch.zeros(3)} for place in range(200)}}
WRAPPED: dict[str, Callable[[State], Any]] = {
    "Lightning": lambda w: {"state_dict": below("model.", w), "epoch": 3, "optimizer_states": [OPTIMIZER]},
    "Lightning with a loss": lambda w: {
        "state_dict": below("net.", w) | {"loss.weight": w[VARIANCE], "log": w[VARIANCE]}
    },
    "averaged": lambda w: {"ema": below("module.", w), "updates": 100},
    "in a model": lambda w: {"model": {"state_dict": w}},
    "around a model": lambda w: {"state_dict": {"model": w}},
    "under a name of one's own": lambda w: {"my_detector": {"best": {"of_all": w}}},
    "parallel and compiled": lambda w: {"net": below("module._orig_mod.", w)},
    "compiled in part": lambda w: {k.replace("transformer.", "transformer._orig_mod."): v for k, v in w.items()},
    "parallel in part": lambda w: {k.replace("transformer.", "transformer.module."): v for k, v in w.items()},
    "a long prefix": lambda w: below("trainer.task.detector.", w),
    "counted": lambda w: below("module.", w) | {"total_ops": w[VARIANCE], "module.conv1.total_params": w[VARIANCE]},
    "a list": lambda w: [{"epoch": 3}, w],
    "numbers as names beside it": lambda w: {"history": {1: torch.zeros(2), (2, 3): torch.ones(1)}, "weights": w},
    "twice the same": lambda w: {"ema": {k: v.clone() for k, v in w.items()}, "model": w},
    "one network of two": lambda w: {"model": w, "ema": {k: v for k, v in w.items() if "running" not in k}},
    "parameters": lambda w: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in w.items()},
    "transposed in memory": lambda w: {k: v.t().contiguous().t() if v.ndim == 2 else v for k, v in w.items()},
    "double": lambda w: changed(w, Tensor.double),
    "sparse": lambda w: changed(w, Tensor.to_sparse, 2),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_weights_are_found_however_they_were_saved(wrap: Callable[[State], Any], weights: State, tmp_path: Path):
    assert equal(loaded(saved(wrap(weights), tmp_path)), weights)


@pytest.mark.parametrize("kind", [torch.half, torch.bfloat16])
def test_short_floats_become_the_same_long_ones(kind: torch.dtype, weights: State, tmp_path: Path):
    short = changed(weights, lambda value: value.to(kind))
    assert equal(loaded(saved(short, tmp_path)), changed(short, Tensor.float))


def test_quantized_tensors_are_taken_at_their_values(weights: State, tmp_path: Path):
    state = weights | {FILTERS: torch.quantize_per_tensor(weights[FILTERS], 0.01, 0, torch.qint8)}
    found = loaded(saved(state, tmp_path))[FILTERS]
    assert torch.allclose(found, (weights[FILTERS] / 0.01).round().clamp(-128, 127) * 0.01)


def test_tensors_that_share_their_memory_keep_their_own_values(weights: State, tmp_path: Path):
    flat, first = torch.cat([value.flatten().float() for value in weights.values()]), 0
    views = {}
    for key, value in weights.items():
        views[key] = flat[first : first + value.numel()].view(value.shape)
        first += value.numel()
    assert equal(loaded(saved(views, tmp_path)), weights)


TWO: dict[str, tuple[Callable[[State, State], Any], tuple[str, str]]] = {
    "side by side": (lambda a, b: {"model": a, "ema": b}, ("model", "ema")),
    "one deeper": (lambda a, b: {"model": a, "ema": {"state_dict": below("module.", b)}}, ("model", "ema/state_dict")),
    "in one dictionary": (
        lambda a, b: {"state_dict": below("student.", a) | below("teacher.", b)},
        ("state_dict/student", "state_dict/teacher"),
    ),
    "one around the other": (lambda a, b: a | {"ema": b}, (".", "ema")),
    "in a list": (lambda a, b: {"saved": [a, b]}, ("saved/0", "saved/1")),
}


@pytest.mark.parametrize(("wrap", "keys"), TWO.values(), ids=TWO)
def test_of_several_weights_one_is_chosen_by_its_key(
    wrap: Callable[[State, State], Any], keys: tuple[str, str], weights: State, tmp_path: Path
):
    other = changed(weights, lambda value: value / 2)
    path = saved(wrap(weights, other), tmp_path)
    assert weights_keys(NAME, path) == keys
    with pytest.raises(
        InputError, match=rf"several weights that fit: choose one of {keys[0]}, {keys[1]} \(--weights-key"
    ):
        loaded(path)
    assert equal(loaded(path, keys[0]), weights) and equal(loaded(path, keys[1]), other)
    assert fits(path) == [NAME]


def test_the_first_part_of_a_key_is_enough_and_a_wrong_one_is_named(weights: State, tmp_path: Path):
    other = changed(weights, lambda value: value / 2)
    path = saved({"model": {"state_dict": weights}, "model_ema": {"state_dict": other}}, tmp_path)
    assert equal(loaded(path, "model"), weights)
    with pytest.raises(
        InputError, match=r"no weights 'mod' that fit: choose one of model/state_dict, model_ema/state_di"
    ):
        loaded(path, "mod")


FAULTS: dict[str, tuple[Callable[[State], State], str]] = {
    "NaN": (lambda w: w | {FILTERS: _with(w[FILTERS], float("nan"))}, rf"{FILTERS} has 1 values that are not finite"),
    "infinity": (lambda w: w | {VARIANCE: _with(w[VARIANCE], float("inf"))}, rf"{VARIANCE} has 1 values that are not"),
    "too large": (
        lambda w: w | {FILTERS: w[FILTERS].double() + 1e300},
        rf"{FILTERS} has \d+ values that are not finite",
    ),
    "a negative variance": (
        lambda w: w | {VARIANCE: _with(w[VARIANCE], -1.0)},
        rf"{VARIANCE} has 1 negative variances",
    ),
    "bytes": (
        lambda w: changed(w, lambda v: v.to(torch.int8), 4),
        rf"{FILTERS} is of torch\.int8 where floats .* more",
    ),
    "truth values": (lambda w: w | {FILTERS: w[FILTERS] > 0}, rf"{FILTERS} is of torch\.bool where floats belong"),
    "complex numbers": (lambda w: w | {FILTERS: w[FILTERS] * 1j}, rf"{FILTERS} is of torch\.complex64 where floats"),
    "no values": (lambda w: {k: v.to("meta") for k, v in w.items()}, rf"{FILTERS} has a shape and no values.* more"),
}


def _with(value: Tensor, first: float) -> Tensor:
    value = value.clone()
    value.view(-1)[0] = first
    return value


@pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)
def test_weights_that_nothing_can_be_computed_with_are_named(
    spoil: Callable[[State], State], said: str, weights: State, tmp_path: Path
):
    path = saved({"state_dict": spoil(weights)}, tmp_path)
    with pytest.raises(InputError, match=rf"last\.pth has no sound weights .*{said}.*: choose an earlier") as told:
        loaded(path)
    assert "it fits" not in str(told.value) and "\n" not in str(told.value)


class Masked(Detector):
    """A network with infinities of its own, as attention masks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))


def test_infinities_of_the_network_itself_are_no_fault(tmp_path: Path):
    load_weights(Masked(), saved(Masked().state_dict(), tmp_path))
    spoilt = Masked().state_dict() | {"mask": torch.tensor([float("-inf"), 0.0])}
    with pytest.raises(InputError, match="mask has 1 values that are not finite"):
        load_weights(Masked(), saved(spoilt, tmp_path))


def test_counted_batches_may_be_integers_or_missing(weights: State, tmp_path: Path):
    counted = [key for key in weights if key.endswith("num_batches_tracked")]
    assert counted and not any(weights[key].is_floating_point() for key in counted)
    for state in (weights, {key: value for key, value in weights.items() if key not in counted}):
        assert torch.equal(loaded(saved(state, tmp_path))[FILTERS], weights[FILTERS])


def test_denormal_weights_are_loaded_as_zeros(weights: State, tmp_path: Path):
    decayed = torch.full_like(weights[FILTERS], 1e-39)
    decayed.view(-1)[:3] = torch.tensor([1.5e-38, -0.0, 2.0])
    found = loaded(saved(weights | {FILTERS: decayed}, tmp_path))[FILTERS].view(-1)
    assert found.view(torch.int32)[3:].count_nonzero() == 0
    assert torch.equal(found.view(torch.int32)[:3], decayed.view(-1).view(torch.int32)[:3])


def test_a_whole_model_is_told_from_weights(tmp_path: Path):
    for content in (nn.Linear(2, 2), {"model": nn.Linear(2, 2), "epoch": 3}):
        with pytest.raises(InputError, match=r"no weights: .*torch\.nn\.modules\.linear\.Linear, which is never run"):
            read_checkpoint(saved(content, tmp_path))


def test_without_a_detector_the_only_weights_are_read_and_several_are_listed(weights: State, tmp_path: Path):
    assert equal(read_checkpoint(saved({"net": weights, "few": {"a": torch.ones(1)}}, tmp_path)), weights)
    path = saved({"net": weights, "ema": changed(weights, lambda value: value / 2)}, tmp_path)
    assert list(dictionaries(path)) == ["net", "ema"]
    with pytest.raises(InputError, match=r"several sets of weights \(net, ema\)"):
        read_checkpoint(path)


def test_keys_lose_what_all_of_them_share_and_no_more(weights: State):
    assert equal(clean_keys(below("model.module.net.", weights)), weights)
    bare = {"a.weight": torch.ones(1), "anchors": torch.ones(1)}
    assert equal(clean_keys(bare), bare)
    alike = {"x.weight": torch.ones(1), "module.x.weight": torch.zeros(1)}  # one of them would be lost
    assert equal(clean_keys(alike), alike)
