"""Strategies on choices made by hand: against all that there is to choose, and in what they say where nothing fits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sfcore.quant.allocate.milp as programme
from sfcore.errors import InputError
from sfcore.quant.allocate import STRATEGIES, Choices
from sfcore.quant.allocate.milp import GAP
from sfcore.quant.budget import Budget
from sfcore.quant.cost import Layer, Profile
from sfcore.quant.scheme import EDGE_BITS, Scheme

ROOT = Path(__file__).parents[2]
ALL = ["milp", "greedy", "uniform"]
TOLERANCE = 1e-6  # of limits, by which solvers may be above them
Pairs = list[tuple[int, int]]


def chosen_by(strategy: str, choices: Choices) -> np.ndarray:
    return STRATEGIES[strategy](choices)


def pairs(choices: Choices, chosen: np.ndarray) -> Pairs:
    """The bits of weights and activations of each layer."""
    return list(zip(choices.weights[chosen].tolist(), choices.activations[chosen].tolist(), strict=True))


def layer(name: str, weights: int = 100, macs: int = 1000, edge: bool = False) -> Layer:
    return Layer(name, weights, 100, macs, edge, head=False)


def made(
    layers: Sequence[Layer],
    budgets: Sequence[str] = (),
    widths: Sequence[int] = (2, 4, 8),
    tied: tuple[tuple[int, ...], ...] = (),
    equal: bool = False,
    own: dict[int, tuple[int, int]] | None = None,
    seed: int = 0,
    spread: float = 1.0,
) -> Choices:
    """Choices as the allocator makes them, each layer of another harm, which falls with the bits."""
    rows = list[tuple[int, int, int]]()
    for place, each in enumerate(layers):
        least = [bits for bits in widths if bits >= EDGE_BITS] if each.edge else widths
        free = [(w, a) for w, a in product(least if each.weights else (0,), least) if not equal or w in (0, a)]
        rows += [(place, *bits) for bits in ([own[place]] if own and place in own else free)]
    place, weights, activations = (np.array(column) for column in zip(*rows, strict=True))
    random = np.random.default_rng(seed)
    hurt = np.exp(spread * random.standard_normal((len(layers), 2)))
    parts = hurt[place] * 4.0 ** -np.stack([weights, activations], 1)
    harm = parts[:, 1] + np.where(weights > 0, parts[:, 0], 0.0)
    profile, top = Profile(tuple(layers), 0, 0), Scheme(max(widths), max(widths))
    limits = tuple(limit for text in budgets for limit in Budget.parse(text).limits(profile, top))
    use = np.array([limit.use(place, weights, activations) for limit in limits]).reshape(len(limits), len(rows))
    return Choices(place, weights, activations, harm, use, limits, tied)


def drawn(seed: int) -> Choices:
    """A small problem of any kind: a few layers, products among them, one or two limits, ties, tight or loose."""
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 5))
    layers = [
        layer(
            f"{n}", int(random.integers(1, 500)) * int(n == 0 or random.random() < 0.8), int(random.integers(1, 9999))
        )
        for n in range(count)
    ]
    bits, bops = random.uniform(2.0, 8.0), random.uniform(5.0, 100.0)
    budgets = [[f"{bits:.4f}wbit"], [f"{bops:.4f}%bops"], [f"{bits:.4f}wbit", f"{bops:.4f}%bops"]][seed % 3]
    tied = ((0, count - 1),) if random.random() < 0.5 else ()
    widths = [(2, 4, 8), (3, 4, 16), (2, 3, 5, 8)][int(random.integers(3))] if count < 4 else (2, 4, 8)
    return made(
        layers, budgets, widths, tied, bool(random.random() < 0.2), seed=seed, spread=float(random.uniform(0, 4))
    )


def best(choices: Choices) -> float:
    """The least total harm that keeps all limits and ties, found by trying everything; infinite where nothing does."""
    every = np.array(list(product(*map(choices.of, range(choices.layers)))))
    fits = (choices.use[:, every].sum(-1) <= 1 + 1e-9).all(0)
    for group in choices.tied:
        activations = choices.activations[every[:, list(group)]]
        fits &= (activations == activations[:, :1]).all(1)
    return float(choices.harm[every[fits]].sum(1).min()) if fits.any() else np.inf


def assert_kept(choices: Choices, chosen: np.ndarray) -> None:
    """One choice a layer, within limits and with equal bits of tied layers."""
    assert choices.layer[chosen].tolist() == list(range(choices.layers))
    assert (choices.use[:, chosen].sum(1) <= 1 + TOLERANCE).all()
    assert all(len({pairs(choices, chosen)[place][1] for place in group}) == 1 for group in choices.tied)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_integer_programme_finds_what_trying_everything_finds(seed: int) -> None:
    choices = drawn(seed)
    least = best(choices)
    if np.isinf(least):
        with pytest.raises(InputError):
            chosen_by("milp", choices)
    else:
        chosen = chosen_by("milp", choices)
        assert_kept(choices, chosen)
        assert choices.harm[chosen].sum() <= least * (1 + 2 * GAP)


def test_the_best_is_found_however_much_worse_the_worst_choice_is() -> None:
    choices = made([layer(f"{n}", 100 + 7 * n, 1000 + 99 * n) for n in range(4)], ["6bit"], (2, 4, 6, 8), seed=3)
    for worse in (1e3, 1e6, 1e9, 1e12):
        spoilt = replace(choices, harm=np.where(choices.weights == 2, worse * choices.harm, choices.harm))
        assert spoilt.harm[chosen_by("milp", spoilt)].sum() <= best(spoilt) * (1 + 2 * GAP)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_greedy_keeps_limits_and_ties_and_is_never_better_than_the_best(seed: int) -> None:
    choices = drawn(seed)
    least = best(choices)
    if np.isinf(least):
        with pytest.raises(InputError):
            chosen_by("greedy", choices)
    else:
        chosen = chosen_by("greedy", choices)
        assert_kept(choices, chosen)
        assert choices.harm[chosen].sum() >= least * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_uniform_is_the_largest_width_that_keeps_all_limits(seed: int) -> None:
    choices = drawn(seed)

    def all_at(width: int) -> np.ndarray:
        of_weights = [width * bool(choices.weights[choices.of(place)].max()) for place in range(choices.layers)]
        return np.array([choices.place[place, w, width] for place, w in enumerate(of_weights)])

    fitting = [bits for bits in sorted(set(choices.activations.tolist())) if choices.fits(all_at(bits))]
    if fitting:
        assert chosen_by("uniform", choices).tolist() == all_at(fitting[-1]).tolist()
    else:
        with pytest.raises(InputError, match="cannot be met: the least that can be is"):
            chosen_by("uniform", choices)


def test_in_a_uniform_allocation_first_and_last_layers_have_their_own_fewest_bits() -> None:
    layers = [layer("first", edge=True), layer("middle", 5000, 9000), layer("product", 0), layer("last", edge=True)]
    choices = made(layers, ["4.2wbit"], (2, 4, 8, 16))
    assert pairs(choices, chosen_by("uniform", choices)) == [(8, 8), (4, 4), (0, 4), (8, 8)]


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("strategy", ALL)
def test_a_layer_tied_to_a_first_one_reads_at_least_what_that_one_does(strategy: str, equal: bool) -> None:
    layers = [layer("first", edge=True), layer("beside", 10, 10), layer("middle", 9000, 90000), layer("product", 0, 10)]
    choices = made(layers, ["4.5bit"], (2, 4, 8), tied=((0, 1), (2, 3)), equal=equal)
    chosen = chosen_by(strategy, choices)
    assert_kept(choices, chosen)
    assert [activations for _, activations in pairs(choices, chosen)][:2] == [8, 8]
    assert not equal or all(w in (0, a) for w, a in pairs(choices, chosen))


@pytest.mark.parametrize("strategy", ["milp", "greedy"])
def test_bits_go_where_they_take_most_harm_away(strategy: str) -> None:
    choices = made([layer("deaf"), layer("touchy")], ["6wbit"], (4, 8))
    harm = np.where(choices.layer == 1, 100.0, 1.0) * (4.0**-choices.weights + 4.0**-choices.activations)
    assert pairs(choices, chosen_by(strategy, replace(choices, harm=harm))) == [(4, 8), (8, 8)]


def test_greedy_goes_on_beyond_bits_that_take_no_harm_away() -> None:
    choices = made([layer("a"), layer("b")], ["100%bops"], (2, 4, 8))
    harm = np.where(choices.weights == 8, 0.0, 1.0) + np.where(choices.activations == 8, 0.0, 1.0)
    assert pairs(choices, chosen_by("greedy", replace(choices, harm=harm))) == [(8, 8), (8, 8)]


@pytest.mark.parametrize("strategy", ALL)
def test_all_layers_get_all_bits_where_the_budget_allows_it(strategy: str) -> None:
    choices = made([layer("a"), layer("b"), layer("product", 0)], ["100%bops", "100%size"], (2, 4, 6, 8))
    assert pairs(choices, chosen_by(strategy, choices)) == [(8, 8), (8, 8), (0, 8)]


@pytest.mark.parametrize("strategy", ALL)
def test_without_a_limit_all_layers_get_all_bits(strategy: str) -> None:
    choices = made([layer("a"), layer("b"), layer("product", 0)], tied=((1, 2),))
    assert pairs(choices, chosen_by(strategy, choices)) == [(8, 8), (8, 8), (0, 8)]


@pytest.mark.parametrize("strategy", ALL)
def test_given_bits_that_are_no_candidate_keep_no_other_layer_from_its_own(strategy: str) -> None:
    choices = made([layer("own"), layer("b"), layer("c")], ["100%bops"], (4, 8), own={0: (6, 5)})
    assert pairs(choices, chosen_by(strategy, choices)) == [(6, 5), (8, 8), (8, 8)]


@pytest.mark.parametrize("strategy", ALL)
def test_layers_that_must_share_bits_but_have_none_in_common_are_said(strategy: str) -> None:
    choices = made([layer("own"), layer("b")], ["8bit"], (4, 8), tied=((0, 1),), own={0: (6, 6)})
    with pytest.raises(InputError, match="layers that must share their bits have none in common"):
        chosen_by(strategy, choices)


@pytest.mark.parametrize("strategy", ALL)
def test_a_budget_that_cannot_be_met_says_the_least_that_can_be(strategy: str) -> None:
    layers = [layer("first", 100, edge=True), layer("middle", 300)]
    with pytest.raises(InputError) as told:
        chosen_by(strategy, made(layers, ["3wbit"], (2, 4, 8)))
    assert str(told.value) == (
        "the budget 3wbit cannot be met: the least that can be is 3.50 bits a weight. Give more, or smaller candidates"
    )


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    ("budget", "per_unit"),
    [("2wbit", 1.0), ("2abit", 1.0), ("0.0000001MB", 1e-6), ("0.000000001GBOPs", 1e-9)],
)
def test_what_a_message_says_can_be_is_enough(strategy: str, budget: str, per_unit: float) -> None:
    layers = [layer("first", 130, 977, edge=True), layer("middle", 311, 1003), layer("product", 0, 501)]
    with pytest.raises(InputError, match="the least that can be is") as told:
        chosen_by(strategy, made(layers, [budget]))
    least = float(re.search(r"least that can be is ([\d,.]*\d)", str(told.value))[1].replace(",", ""))  # type: ignore[index]
    enough = made(layers, [str(replace(Budget.parse(budget), amount=least * per_unit))])
    assert_kept(enough, chosen_by(strategy, enough))


@pytest.mark.parametrize("strategy", ALL)
def test_a_budget_below_what_stays_in_full_precision_says_so(strategy: str) -> None:
    choices = made([layer("a"), layer("b")], ["4wbit"])
    limit = replace(choices.limits[0], fixed=6.4)
    use = limit.use(choices.layer, choices.weights, choices.activations)[None]
    with pytest.raises(InputError, match=r"the least that can be is more than 6\.40 bits a weight"):
        chosen_by(strategy, replace(choices, limits=(limit,), use=use))


def test_limits_that_can_be_met_one_by_one_but_not_at_once_are_named() -> None:
    layers = [layer("a", 100, 1000), layer("b", 100, 1000)]
    # Few operations want few bits of one of the two; no more than this size wants few of weights; and ties all of them.
    choices = made(layers, ["5wbit", "30%bops"], (2, 8), equal=True)
    either = replace(choices, use=np.array([[0.9, 0.2, 0.9, 0.2], [0.2, 0.9, 0.2, 0.9]]))
    with pytest.raises(InputError, match="no choice of bits keeps 5wbit, 30%bops at once: give more of one of them"):
        chosen_by("milp", replace(either, use=either.use + 0.2))


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of some works gives, all begun at the same time in threads of their own."""
    gate, found = threading.Barrier(len(works)), dict[int, Any]()

    def carry_out(number: int) -> None:
        gate.wait()
        found[number] = works[number]()

    threads = [threading.Thread(target=carry_out, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[number] for number in range(len(works))]


def test_whatever_a_solver_prints_stays_off_the_standard_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def talkative(*given: Any, **more: Any) -> Any:
        os.write(1, b"a line of its own\n")
        found = solve(*given, **more)
        os.write(1, b"another\n")
        return found

    solve = programme.milp
    monkeypatch.setattr(programme, "milp", talkative)
    problems = [drawn(seed) for seed in (2, 3, 5, 7, 9, 10)]
    alone = [None if np.isinf(best(each)) else chosen_by("milp", each).tolist() for each in problems]

    def solved(choices: Choices) -> list[int] | None:
        with suppress(InputError):
            return chosen_by("milp", choices).tolist()
        return None

    assert sum(found is not None for found in alone) > 3
    assert at_once([lambda each=each: solved(each) for each in problems]) == alone
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


def test_what_c_keeps_in_its_buffer_does_not_come_out_later() -> None:
    code = """
import ctypes
import sfcore.quant.allocate.milp as programme
ctypes.CDLL(None).printf(b"before ")
with programme._quiet():
    ctypes.CDLL(None).printf(b"a line of its own")
print("after", flush=True)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "before after\n"


@pytest.mark.parametrize("strategy", ALL)
def test_the_same_problem_gets_the_same_answer(strategy: str) -> None:
    layers = [layer(f"{n}", 100 + 31 * n, 900 + 77 * n) for n in range(8)]
    first, again = (chosen_by(strategy, made(layers, ["4.5bit"], (2, 3, 4, 6, 8))).tolist() for _ in range(2))
    assert first == again


STRATEGY = """
import numpy as np
from sfcore.quant.allocate import STRATEGIES

@STRATEGIES.register("widest")
def widest(choices):
    return np.array([choices.of(layer)[-1] for layer in range(choices.layers)])
"""


def test_a_strategy_of_ones_own_is_found_and_unknown_ones_are_told_its_name(tmp_path: Path) -> None:
    (tmp_path / "widest.py").write_text(STRATEGY)
    environment = os.environ | {"SFCORE_PLUGINS": str(tmp_path / "widest.py")}
    words = ["allocate", "ganet-tiny", "--images", "sample_data/scenes", "--budget", "4bit", "--strategy", "guess"]
    done = subprocess.run(
        [sys.executable, "-m", "sfcore", *words, "--out", str(tmp_path / "x.json")],
        env=environment, capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    said = "sfcore: error: there is no strategy 'guess': choose one of greedy, milp, uniform, widest\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_a_strategy_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="there is no strategy 'guess': choose one of greedy, milp, uniform"):
        chosen_by("guess", made([layer("a")]))
