"""What each quantizer does alone: measured in threads, kept so that nothing is measured twice, and smoothed."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.quant import Scheme
from sfcore.quant.criteria import CRITERIA
from sfcore.quant.inference import run
from sfcore.quant.ranges import Ranges
from sfcore.quant.sensitivities import Sensitivities, by_criteria, sensitivities
from tests.detectors.small import Small

WIDTHS = (3, 8)
ALL_AT = "W{0}A{0},stem={0},classify={0},place={0}"  # a first or last layer is one that is called by its name
Place = tuple[str, int]


class Counted(Small):
    """Counts how often any copy of it is called."""

    calls = 0

    def forward(self, images: Tensor) -> Outputs:
        Counted.calls += 1
        return super().forward(images)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of what is kept."""
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "layers"


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.randint(0, 256, (5, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> Counted:
    torch.manual_seed(0)
    return Counted().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ranges(network: Counted, frames: Tensor) -> Ranges:
    return ranges_of(network, frames)


def ranges_of(detector: Detector, frames: Tensor) -> Ranges:
    return Ranges.of(detector, Scheme(8, 8), list(detector.preprocessing.normalize(frames).split(4)))


def test_harm_never_rises_with_bits_once_chance_is_taken_out() -> None:
    measured = {("a", 2): 3.0, ("a", 4): 1.0, ("a", 6): 2.0, ("a", 8): 0.5, ("b", 8): 0.0, ("b", 4): 0.0, ("b", 2): 1.0}
    found = Sensitivities("mse", measured)
    assert found.never_rising() == measured | {("a", 4): 2.0}
    assert found.harm == measured
    rising = {("c", bits): float(bits) for bits in (2, 4, 8)}
    assert Sensitivities("mse", rising).never_rising() == dict.fromkeys(rising, 8.0)


def test_harm_that_falls_evenly_is_no_chance() -> None:
    even = {("a", bits): 7 * 4.0**-bits for bits in (2, 3, 4, 6, 8, 16)}
    assert Sensitivities("mse", even).smoothed().harm == pytest.approx(even)


def test_harm_is_drawn_half_way_to_a_line_through_that_of_middle_widths() -> None:
    even = {("a", bits): 4.0**-bits for bits in (2, 3, 4, 5, 16)}
    # At 2 bits nothing is found any more, at 16 nothing is wrong: these two make no line.
    found = Sensitivities("mse", even | {("a", 2): 100 * even["a", 2], ("a", 16): 0.0}).smoothed().harm
    assert found == pytest.approx(even | {("a", 2): 10 * even["a", 2], ("a", 16): 0.0})
    # A line through three logarithms takes a third of what the one in the middle is above the other two.
    found = Sensitivities("mse", even | {("a", 4): 1000 * even["a", 4]}).smoothed().harm
    assert found["a", 4] == pytest.approx(even["a", 4] * 1000 ** ((1 + 1 / 3) / 2))
    assert found["a", 3] == pytest.approx(even["a", 3] * 1000 ** (1 / 6))


def test_what_has_too_few_widths_for_a_line_stays_as_it_was_measured() -> None:
    few = {("a", 2): 1.0, ("a", 4): 3.0, ("a", 8): 0.1, ("a", 16): 2.0, ("b", 3): 0.0, ("b", 4): 0.0, ("b", 5): 1.0}
    found = Sensitivities("mse", few)
    assert found.smoothed() == found


def test_several_criteria_share_their_passes_and_say_what_each_says_alone(ranges: Ranges, frames: Tensor) -> None:
    names = list(CRITERIA)
    alone, calls = {}, []
    for name in names:
        before = Counted.calls
        alone[name] = sensitivities(ranges, frames, (3,), name, keep=False)
        calls.append(Counted.calls - before)
    before = Counted.calls
    assert by_criteria(ranges, frames, (3,), names, keep=False) == alone
    assert Counted.calls - before <= max(calls) + min(calls) < sum(calls) / 2


def test_what_was_measured_is_not_measured_again(ranges: Ranges, frames: Tensor) -> None:
    first = sensitivities(ranges, frames, WIDTHS)
    told = list[tuple[int, int]]()
    before = Counted.calls
    again = sensitivities(ranges, frames.clone(), reversed(WIDTHS), progress=lambda *steps: told.append(steps))
    assert (Counted.calls, told) == (before, []) and again == first
    more = sensitivities(ranges, frames, (*WIDTHS, 5), progress=lambda *steps: told.append(steps))
    count = len(ranges.names)
    assert told == [(2 * count + done, 3 * count) for done in range(1, count + 1)]
    assert first.harm.items() <= more.harm.items()


class Stopped(Exception):
    """Somebody has enough."""


def stop_after(count: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == count:
            raise Stopped

    return progress


@pytest.mark.parametrize("criterion", ["mse", "gradient"])
def test_what_was_interrupted_goes_on(criterion: str, ranges: Ranges, frames: Tensor) -> None:
    whole = sensitivities(ranges, frames, WIDTHS, criterion, keep=False)
    with pytest.raises(Stopped):
        sensitivities(ranges, frames, WIDTHS, criterion, stop_after(7))
    told = list[tuple[int, int]]()
    found = sensitivities(ranges, frames, WIDTHS, criterion, lambda *steps: told.append(steps))
    assert told[0] == (8, len(whole.harm)) and told[-1] == (len(whole.harm), len(whole.harm))
    assert found == whole


def test_damaged_lines_are_measured_again_and_others_are_not(cache: Path, ranges: Ranges, frames: Tensor) -> None:
    first = sensitivities(ranges, frames, WIDTHS)
    (file,) = cache.iterdir()
    lines = file.read_bytes().splitlines()
    damaged = [b"", b"\xff\xfe", b"null", b"[1, 2]", b"{}", lines[0][:-1], lines[1].replace(b'"bits"', b'"bit"')]
    damaged += [json.dumps({"quantizer": "stem.weight_quantizer", "bits": bits, "harm": harm}).encode()
                for bits, harm in ((None, 1), ("x", 1), (float("inf"), 1), (8, None), (8, [1]), (8, "much"),
                                   (8, float("nan")), (8, float("inf")))]  # fmt: skip
    file.write_bytes(b"\n".join([*damaged, *lines[2:]]) + b"\n")
    told = list[tuple[int, int]]()
    assert sensitivities(ranges, frames, WIDTHS, progress=lambda *steps: told.append(steps)) == first
    count = len(lines)
    assert told == [(count - 1, count), (count, count)]


def test_after_a_torn_line_whatever_is_measured_is_kept(cache: Path, ranges: Ranges, frames: Tensor) -> None:
    first = sensitivities(ranges, frames, WIDTHS)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert sensitivities(ranges, frames, WIDTHS) == first
    before = Counted.calls
    assert sensitivities(ranges, frames, WIDTHS) == first and Counted.calls == before


def test_other_frames_ranges_or_criteria_are_kept_in_other_files(
    cache: Path, network: Counted, ranges: Ranges, frames: Tensor
) -> None:
    def files() -> int:
        return len(list(cache.iterdir()))

    sensitivities(ranges, frames, (3,))
    sensitivities(ranges, frames, (8,))
    assert files() == 1
    sensitivities(ranges, frames[:4], (3,))
    assert files() == 2
    sensitivities(ranges, frames.flip(0), (3,))
    assert files() == 3
    sensitivities(ranges, frames, (3,), "mse")
    assert files() == 4
    other = copy.deepcopy(network)
    other.middle.weight.data[0, 0] += 0.1
    sensitivities(ranges_of(other, frames), frames, (3,))
    assert files() == 5


def test_nothing_is_kept_that_is_not_to_be(cache: Path, ranges: Ranges, frames: Tensor) -> None:
    found = sensitivities(ranges, frames, (3,), keep=False)
    assert not cache.exists()
    sensitivities(ranges, frames, (3,))
    before = Counted.calls
    assert sensitivities(ranges, frames, (3,), keep=False) == found and Counted.calls > before


def test_a_cache_that_cannot_be_written_is_said(
    ranges: Ranges, frames: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write .*file/layers"):
        sensitivities(ranges, frames, (3,))


def test_an_unknown_criterion_is_refused_with_those_that_there_are_before_anything_is_measured(
    ranges: Ranges, frames: Tensor
) -> None:
    before = Counted.calls
    said = "there is no criterion 'guess': choose one of cosine, distortion, gradient, hessian, mse"
    with pytest.raises(InputError, match=said):
        by_criteria(ranges, frames, (3,), ["mse", "guess"])
    assert Counted.calls == before


@pytest.fixture
def two_threads() -> Any:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def threads_of_all() -> list[int]:
    """How many threads PyTorch has here and in a thread that begins now."""
    found = [torch.get_num_threads()]
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found


def test_measuring_leaves_as_many_threads_as_there_were(two_threads: None, ranges: Ranges, frames: Tensor) -> None:
    found = sensitivities(ranges, frames, WIDTHS, "mse", keep=False)
    assert threads_of_all() == [2, 2]
    torch.set_num_threads(1)
    one = sensitivities(ranges, frames, WIDTHS, "mse", keep=False)
    assert found.harm == pytest.approx(one.harm, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("place", ["progress", "criterion"])
def test_so_does_measuring_that_fails(
    place: str, two_threads: None, ranges: Ranges, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise Stopped

    if place == "criterion":
        monkeypatch.setattr(CRITERIA["mse"], "harm", fail)
    with pytest.raises(Stopped):
        sensitivities(ranges, frames, WIDTHS, "mse", stop_after(3), keep=False)
    assert threads_of_all() == [2, 2]


def test_a_network_is_measured_where_it_stands_and_stays_as_it_was(
    network: Counted, ranges: Ranges, frames: Tensor
) -> None:
    def states(model: nn.Module) -> Sequence[Tensor]:
        return [value.clone() for value in model.state_dict().values()]

    before, expected = states(network), ranges.quantized(Scheme(4, 4))
    by_criteria(ranges, frames, (3,), list(CRITERIA), keep=False)
    assert all(torch.equal(one, other) for one, other in zip(states(network), before, strict=True))
    after = run(ranges.quantized(Scheme(4, 4)), frames)
    assert all(torch.equal(y, after[head]) for head, y in run(expected, frames).items())
    assert not any(parameter.grad is not None for parameter in network.parameters())
