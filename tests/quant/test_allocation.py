"""Bits for a budget, on a network small enough to be measured in a second: what is promised of every allocation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.allocation import DRAWS, WIDTHS, Allocation, Allocator, Constraints, allocator, scheme_of
from sfcore.quant.budget import Budget, parse_budgets
from sfcore.quant.convert import convert, example
from sfcore.quant.cost import Layer, Profile
from sfcore.quant.front import Point, front, in_order
from sfcore.quant.inference import run
from sfcore.quant.scheme import BITS
from sfcore.quant.sensitivities import Sensitivities, sensitivities
from sfcore.quant.sharing import sharing
from tests.detectors.small import Small

BUDGETS = [
    ["4.5bit"], ["6bit"], ["5wbit"], ["5abit"], ["6wbit", "4.5abit"], ["50%size"], ["0.003MB", "30%bops"],
    ["120%bops@W4A4", "130%size@W4A4"], ["0.02GBOPs"],
]  # fmt: skip
EDGES = ["stem", "classify", "place"]


@pytest.fixture(scope="module")
def network() -> Small:
    torch.manual_seed(0)
    return Small().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.randint(0, 256, (16, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def whole(network: Small, frames: Tensor) -> Allocator:
    """Without constraints; only measured with, never changed."""
    return allocator(network, frames, keep=False)


@pytest.fixture(scope="module")
def harm(whole: Allocator, frames: Tensor) -> Sensitivities:
    """What it was made of."""
    return sensitivities(whole.ranges, frames, WIDTHS, keep=False)


def under(
    whole: Allocator, harm: Sensitivities, candidates: Sequence[int] = WIDTHS, equal: bool = False, shared: bool = False
) -> Allocator:
    """The same network under constraints."""
    return Allocator(whole.ranges, harm, whole.frames, Constraints(tuple(candidates), equal, shared))


def allocated(made: Allocator, *budgets: str, strategy: str = "milp", rounds: int = 0, seed: int = 0) -> Allocation:
    return made.allocate([Budget.parse(text) for text in budgets], strategy, rounds, seed=seed)


def bits(made: Allocator, scheme: Scheme) -> dict[str, tuple[int, int]]:
    """The bits of weights, 0 where there are none, and of activations of each layer."""
    profile = made.ranges.profile
    each = zip(profile.layers, profile.bits(scheme), strict=True)
    return {layer.name: (got.weights if layer.weights else 0, got.activations) for layer, got in each}


def spent(profile: Profile, budget: Budget, scheme: Scheme, top: Scheme) -> float:
    """The share of a budget that a scheme takes, from its costs alone."""
    cost, of = profile.cost(scheme), budget.of or top
    share = {
        "bit": max(
            cost.average_weight_bits / budget.amount,
            cost.bops / (sum(layer.macs * max(budget.amount, 8 * layer.edge) ** 2 for layer in profile.layers) or 1),
        ),
        "wbit": cost.average_weight_bits / budget.amount,
        "abit": cost.average_activation_bits / budget.amount,
        "%size": 100 * (profile.size_bytes(scheme) - 1) / profile.size_bytes(of) / budget.amount,  # of whole bytes
        "MB": (profile.size_bytes(scheme) - 1) / 1e6 / budget.amount,
        "%bops": 100 * cost.bops / profile.cost(of).bops / budget.amount,
        "GBOPs": cost.bops / 1e9 / budget.amount,
    }
    return share[budget.unit]


@pytest.mark.parametrize("budgets", BUDGETS, ids=" ".join)
@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
def test_every_budget_holds_for_the_scheme_that_is_returned(
    strategy: str, budgets: list[str], whole: Allocator
) -> None:
    found, profile = allocated(whole, *budgets, strategy=strategy), whole.ranges.profile
    assert all(spent(profile, each, found.scheme, Scheme(16, 16)) <= 1 + 1e-6 for each in parse_budgets(budgets))
    assert found.cost == profile.cost(found.scheme) and found.size_bytes == profile.size_bytes(found.scheme)
    got = bits(whole, found.scheme)
    assert all(w >= 8 and a >= 8 for w, a in (got[edge] for edge in EDGES))
    assert all(bit in (0, *WIDTHS) for pair in got.values() for bit in pair)


@pytest.mark.parametrize("budget", ["5bit", "40%size", "30%bops"])
def test_budgets_are_used_and_not_only_kept(budget: str, whole: Allocator) -> None:
    found = allocated(whole, budget)
    assert spent(whole.ranges.profile, Budget.parse(budget), found.scheme, Scheme(16, 16)) > 0.9


@pytest.mark.parametrize("strategy", ["greedy", "uniform"])
def test_no_strategy_predicts_less_harm_than_the_integer_programme(strategy: str, whole: Allocator) -> None:
    for budgets in BUDGETS:
        best, other = allocated(whole, *budgets), allocated(whole, *budgets, strategy=strategy)
        assert best.predicted <= other.predicted * (1 + 1e-3)


def test_allocated_bits_move_predictions_less_than_as_many_bits_for_all_layers(whole: Allocator) -> None:
    found = allocated(whole, "100%bops@W4A4", "100%size@W4A4", rounds=1)
    uniform = whole.described(Scheme(4, 4))
    assert found.cost.bops <= uniform.cost.bops and found.size_bytes <= uniform.size_bytes
    assert found.measured.distortion < 0.8 * uniform.measured.distortion


@pytest.mark.parametrize("unit", ["bit", "%size", "%bops"])
def test_a_larger_budget_never_predicts_more_harm(unit: str, whole: Allocator) -> None:
    ends = {"bit": (4, 16), "%size": (35, 100), "%bops": (20, 100)}[unit]
    found = [allocated(whole, str(Budget(float(amount), unit))).predicted for amount in np.linspace(*ends, 9)]
    assert all(more <= less * (1 + 1e-3) for less, more in pairwise(found))
    assert found[-1] < found[0]


def test_what_is_predicted_and_measured_is_that_of_the_scheme(whole: Allocator, network: Small, frames: Tensor) -> None:
    found = allocated(whole, "5bit")
    harm, places = whole.harm, whole.ranges.bits(found.scheme)
    assert found.predicted == pytest.approx(sum(harm[place] for place in places.items()) ** 0.5)
    batches = list(network.preprocessing.normalize(frames).split(8))
    model = quantize(network, found.scheme, batches, bias_correction=False)
    agreed = network.task.agreement(network.decode(run(network, frames)), model.decode(run(model, frames)))
    assert found.measured.distortion == pytest.approx(agreed.distortion, rel=1e-3)
    some = frames[:3]
    agreed = network.task.agreement(network.decode(run(network, some)), model.decode(run(model, some)))
    assert whole.measure(found.scheme, some).distortion == pytest.approx(agreed.distortion, rel=1e-3)
    assert whole.measure(found.scheme) == found.measured  # as before


@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
def test_layers_that_have_bits_already_keep_them_and_the_budget_counts_them(strategy: str, whole: Allocator) -> None:
    own = {"middle": (3, 7), "product": (0, 5), "stem": (4, 16), "place": (2, 2)}
    for budget in ("5bit", "100%bops"):
        found = whole.allocate([Budget.parse(budget)], strategy, rounds=0, own=own)
        assert own.items() <= bits(whole, found.scheme).items()
        assert spent(whole.ranges.profile, Budget.parse(budget), found.scheme, Scheme(16, 16)) <= 1 + 1e-6


def test_bits_of_a_layer_that_there_is_not_are_refused(whole: Allocator) -> None:
    with pytest.raises(InputError, match="bits are given to nothing, but no quantized layer is called so"):
        whole.allocate([Budget(5.0, "bit")], own={"nothing": (8, 8)})


def test_bits_that_there_are_not_are_refused(whole: Allocator) -> None:
    with pytest.raises(InputError, match="17 weight bits are not possible: choose 1 to 16"):
        whole.allocate([Budget(9.0, "bit")], rounds=0, own={"middle": (17, 8)})


@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
@pytest.mark.parametrize("shared", [False, True])
def test_equal_bits_are_equal_in_every_layer(
    shared: bool, strategy: str, whole: Allocator, harm: Sensitivities
) -> None:
    made = under(whole, harm, equal=True, shared=shared)
    for budget in ("5.5bit", "7bit"):
        found = allocated(made, budget, strategy=strategy)
        assert all(w in (0, a) for w, a in bits(made, found.scheme).values())


@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
def test_whatever_reads_one_tensor_reads_it_in_the_same_bits(
    strategy: str, whole: Allocator, network: Small, harm: Sensitivities
) -> None:
    made = under(whole, harm, shared=True)
    groups = sharing(convert(network, Scheme(8, 8)), example(network))
    apart = 0
    for budget in ("5.5bit", "30%bops"):
        got = made.ranges.bits(allocated(made, budget, strategy=strategy).scheme)
        assert all(len({got[name] for name in group}) == 1 for group in groups)
        free = whole.ranges.bits(allocated(whole, budget, strategy=strategy).scheme)
        apart += sum(len({free[name] for name in group}) > 1 for group in groups)
    assert len(groups) > 1 and (apart or strategy == "uniform")  # it is no accident


@pytest.mark.parametrize(
    ("candidates", "said"),
    [((), "there are no candidates: give widths from 2 to 16"), ((1, 8), "1 bits are no candidate: choose from 2 to"),
     ((4, 17), "17 bits are no candidate"), ((0,), "0 bits are no candidate"), ((-4, 8), "-4 bits are no candidate")],
)  # fmt: skip
def test_candidates_that_there_are_not_are_refused(candidates: tuple[int, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Constraints(candidates)


def test_candidates_are_taken_in_order_and_once() -> None:
    assert Constraints((8, 4, 8)).candidates == (4, 8)


@pytest.mark.parametrize("candidates", [(4, 8, 16), (2, 4), (5,), (3, 16)])
def test_only_candidates_are_chosen_and_first_and_last_layers_get_the_largest_below_8(
    candidates: tuple[int, ...], whole: Allocator
) -> None:
    found = Sensitivities("distortion", {(name, b): 2.0**-b for name in whole.ranges.names for b in candidates})
    made = under(whole, found, candidates)
    least = next((b for b in candidates if b >= 8), candidates[-1])
    for budget in ("100%bops", "3%bops@W16A16" if candidates == (2, 4) else "30%bops@W16A16"):
        got = bits(made, allocated(made, budget).scheme)
        assert all(b in (0, *candidates) for pair in got.values() for b in pair)
        assert all(min(got[edge]) >= least for edge in EDGES)


def test_a_candidate_that_was_not_measured_is_said(whole: Allocator, harm: Sensitivities) -> None:
    with pytest.raises(InputError, match="the layers were not measured at 7 bits"):
        under(whole, harm, (4, 7, 8))


@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
def test_a_budget_that_cannot_be_met_says_the_least(strategy: str, whole: Allocator) -> None:
    with pytest.raises(InputError, match=r"the budget 1wbit cannot be met: the least that can be is \d\.\d\d bits a w"):
        allocated(whole, "1wbit", strategy=strategy)


def test_an_unknown_strategy_is_refused(whole: Allocator) -> None:
    with pytest.raises(InputError, match="there is no strategy 'guess': choose one of greedy, milp, uniform"):
        allocated(whole, "5bit", strategy="guess")


def test_fewer_rounds_than_none_are_refused(whole: Allocator) -> None:
    with pytest.raises(InputError, match="-1 rounds are not possible: choose 0 or more"):
        allocated(whole, "5bit", rounds=-1)


@pytest.mark.parametrize("strategy", ["milp", "greedy", "uniform"])
def test_without_a_budget_all_layers_get_the_largest_candidate(strategy: str, whole: Allocator) -> None:
    found, most = allocated(whole, strategy=strategy), whole.described(Scheme(16, 16))
    assert found.predicted == pytest.approx(most.predicted)
    assert strategy == "milp" or found.scheme == most.scheme  # that one stops where more bits do nothing more


def test_rounds_never_end_with_more_distortion_and_tell_how_far_they_are(whole: Allocator) -> None:
    told = list[tuple[int, int]]()
    for budget in ("4.5bit", "6bit"):
        first = allocated(whole, budget)
        found = whole.allocate([Budget.parse(budget)], rounds=2, progress=lambda *steps: told.append(steps))
        assert found.measured.distortion <= first.measured.distortion
        assert spent(whole.ranges.profile, Budget.parse(budget), found.scheme, Scheme(16, 16)) <= 1 + 1e-6
    assert told[: len(told) // 2] == [(done, 1 + 2 * DRAWS) for done in range(1, 2 + 2 * DRAWS)]


def test_the_same_seed_chooses_the_same_bits(whole: Allocator, harm: Sensitivities) -> None:
    fresh = under(whole, harm)
    schemes = [allocated(made, "4.5bit", rounds=1, seed=seed).scheme for made, seed in
               ((whole, 0), (fresh, 0), (whole, 0), (fresh, 3), (whole, 3))]  # fmt: skip
    assert schemes[0] == schemes[1] == schemes[2] and schemes[3] == schemes[4]


def test_any_whole_number_is_a_seed(whole: Allocator) -> None:
    assert allocated(whole, "6bit", rounds=1, seed=-1).measured.distortion >= 0


def test_a_scheme_file_gives_every_layer_the_same_bits_again(whole: Allocator, tmp_path: Path) -> None:
    found = allocated(whole, "4.5bit")
    path = tmp_path / "bits.json"
    found.scheme.save(path)
    again = Scheme.parse(str(path))
    assert bits(whole, again) == bits(whole, found.scheme)
    assert whole.ranges.profile.cost(again) == found.cost
    assert Scheme.parse(str(found.scheme)) == found.scheme


LAYERS = (
    Layer("first", 100, 1000, 2000, edge=True, head=False), Layer("middle", 300, 400, 3000, edge=False, head=False),
    Layer("middle.more", 30, 40, 300, edge=False, head=True), Layer("product", 0, 200, 500, edge=False, head=False),
    Layer("last", 50, 100, 60, edge=True, head=True), Layer("last.mix", 0, 10, 60, edge=True, head=True),
)  # fmt: skip


@given(
    each=st.tuples(*(st.tuples(st.sampled_from(BITS), st.sampled_from(BITS)) for _ in LAYERS)),
    affine=st.booleans(), per_tensor=st.booleans(),
)  # fmt: skip
def test_a_scheme_gives_each_layer_what_it_is_to_have(
    each: Sequence[tuple[int, int]], affine: bool, per_tensor: bool
) -> None:
    wanted = [(w if layer.weights else 0, a) for layer, (w, a) in zip(LAYERS, each, strict=True)]
    scheme = scheme_of(LAYERS, wanted, Scheme(8, 8, per_tensor, affine))
    got = Profile(LAYERS, 0, 0).bits(scheme)
    assert [(b.weights if layer.weights else 0, b.activations) for layer, b in zip(LAYERS, got, strict=True)] == wanted
    assert all((b.per_tensor, b.affine) == (per_tensor, affine) for b in got)
    assert len(scheme.rules) <= len(LAYERS)


def test_the_commonest_bits_need_no_rule() -> None:
    assert str(scheme_of(LAYERS, [(8, 8), (4, 6), (4, 6), (0, 6), (8, 8), (0, 8)], Scheme(8, 8))) == "W4A6"


class Seen:
    """Counts the frames that a criterion is told from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frames: Tensor | None = None
        monkeypatch.setattr("sfcore.quant.allocation.sensitivities", self)

    def __call__(self, ranges: object, frames: Tensor, widths: Sequence[int], criterion: str, *_: object) -> object:
        self.frames = frames
        names = ranges.names  # type: ignore[attr-defined]
        return Sensitivities(criterion, {(name, b): 2.0**-b for name in names for b in widths})


@pytest.mark.parametrize(("count", "places"), [(3, [0, 1, 2]), (16, range(16)), (32, range(0, 32, 2))])
def test_layers_are_measured_on_some_frames_each_of_them_once(
    count: int, places: Sequence[int], network: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = torch.randint(0, 256, (count, 3, 32, 64), dtype=torch.uint8)
    seen = Seen(monkeypatch)
    made = allocator(network, frames, Constraints((4, 8)))
    assert seen.frames is not None and torch.equal(seen.frames, frames[list(places)])
    assert torch.equal(made.frames, frames)


def test_phases_are_told_and_grids_and_criterion_are_those_asked_for(network: Small, frames: Tensor) -> None:
    told = dict[str, tuple[int, int]]()
    made = allocator(
        network, frames[:4], Constraints((4, 8)), "mse", Scheme.parse("W4A4-tensor-affine"),
        lambda phase, done, total: told.update({phase: (done, total)}), keep=False,
    )  # fmt: skip
    places = 2 * len(made.ranges.names)
    assert told == {"calibrating": (1, 1), "measuring layers": (places, places)}
    assert made.power == 1
    found = allocated(made, "6bit")
    assert found.scheme.per_tensor and found.scheme.affine
    model = made.ranges.quantized(found.scheme)
    assert model.get_submodule("middle.input_quantizer").zero is not None
    assert model.get_submodule("middle.weight_quantizer").scale.numel() == 1


@pytest.fixture(scope="module")
def points(whole: Allocator, frames: Tensor) -> list[Point]:
    return front(whole, frames[:4], points=4)


def test_a_front_measures_each_budget_and_uniform_schemes_beside_them(
    points: list[Point], whole: Allocator, frames: Tensor
) -> None:
    assert [each.uniform for each in points] == [False] * 4 + [True] * 4
    assert [str(each.allocation.scheme) for each in points[4:]] == ["W4A4", "W5A5", "W6A6", "W8A8"]
    for each in points:
        assert each.judged == whole.measure(each.allocation.scheme, frames[:4])
        assert each.allocation.measured == whole.measure(each.allocation.scheme)
        row = each.row()
        assert row["f1"] == each.judged.f1 and row["shift_px"] == each.judged.shift
        assert row["size_bytes"] == whole.ranges.profile.size_bytes(Scheme.parse(row["scheme"]))
    costs = [each.allocation.cost.bops for each in points]
    assert costs[:4] == sorted(costs[:4]) and costs[0] <= 1.01 * costs[4] and costs[3] <= costs[7]
    assert [each.allocation.cost.bops for each in in_order(points, "bops")] == sorted(costs)


def test_a_front_of_sizes_has_budgets_of_sizes(whole: Allocator, frames: Tensor) -> None:
    told = list[tuple[int, int]]()
    found = front(whole, frames[:2], "size", 2, progress=lambda *steps: told.append(steps))
    assert told == [(done, 6) for done in range(1, 7)]
    sizes = [each.allocation.size_bytes for each in found]
    assert sizes[0] <= 1.01 * sizes[2] < sizes[1] <= sizes[5] + 1
    assert [each.allocation.size_bytes for each in in_order(found, "size")] == sorted(sizes)


@pytest.mark.parametrize("count", [1, 0, -3])
def test_fewer_than_two_budgets_make_no_front(count: int, whole: Allocator, frames: Tensor) -> None:
    with pytest.raises(InputError, match=f"{count} budgets make no front: choose 2 or more"):
        front(whole, frames, points=count)


@pytest.mark.parametrize("axis", ["bops", "size"])
@pytest.mark.parametrize(
    ("candidates", "equal", "shared"),
    [((4, 16), False, False), ((2, 3), False, False), ((16,), False, False), ((2, 16), True, False),
     ((4, 6, 8), True, True), ((4, 12, 16), False, True)],
)  # fmt: skip
def test_a_front_finds_budgets_that_can_be_met_under_any_constraints(
    candidates: tuple[int, ...], equal: bool, shared: bool, axis: str, whole: Allocator, frames: Tensor
) -> None:
    harm = {(name, b): 2.0**-b for name in whole.ranges.names for b in candidates}
    made = under(whole, Sensitivities("distortion", harm), candidates, equal, shared)
    found = front(made, frames[:1], axis, 3)  # type: ignore[arg-type]
    assert sum(not each.uniform for each in found) == 3 and sum(each.uniform for each in found) > 0
