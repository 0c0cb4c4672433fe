"""Budgets: text, messages, and what they bound on a network worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfcore.errors import InputError
from sfcore.quant.allocation import scheme_of
from sfcore.quant.budget import Budget, Limit, parse_budgets
from sfcore.quant.cost import Layer, Profile
from sfcore.quant.scheme import BITS, Scheme

# A first layer, one in the middle, a product of two activations; 10 weights and 50 multiplications stay in full
# precision, and so do 7 biases.
PROFILE = Profile(
    (
        Layer("first", 100, 1000, 2000, edge=True, head=False),
        Layer("middle", 300, 400, 3000, edge=False, head=False),
        Layer("product", 0, 200, 500, edge=False, head=False),
    ),
    weights=10, macs=50, vectors=7,
)  # fmt: skip
TOP = Scheme.parse("W16A16")
Pairs = Sequence[tuple[int, int]]  # bits of weights and activations, layer by layer
PAIRS = st.tuples(
    *(st.tuples(st.sampled_from(BITS), st.sampled_from(BITS)) for _ in range(2)),
    st.tuples(st.just(0), st.sampled_from(BITS)),
)


def limits(text: str, top: Scheme = TOP, profile: Profile = PROFILE) -> list[Limit]:
    return Budget.parse(text).limits(profile, top)


def limit(text: str, top: Scheme = TOP) -> Limit:
    (found,) = limits(text, top)
    return found


def taken(of: Limit, bits: Pairs) -> float:
    """The share of a limit that bits of all layers take."""
    weights, activations = np.array(bits).T
    return float(of.use(np.arange(len(bits)), weights, activations).sum())


def amount(of: Limit, bits: Pairs) -> float:
    """What bits of all layers take of what is bounded."""
    return of.fixed + taken(of, bits) * (of.most - of.fixed)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("4.5bit", 4.5, "bit"), ("4bits", 4.0, "bit"), ("4 BIT", 4.0, "bit"), (" 3.25wbit ", 3.25, "wbit"),
        ("6abit", 6.0, "abit"), ("40%size", 40.0, "%size"), ("40 % Size", 40.0, "%size"), ("1.2MB", 1.2, "MB"),
        ("1.2mb", 1.2, "MB"), ("25%bops", 25.0, "%bops"), ("5GBOPs", 5.0, "GBOPs"), ("0.05gbops", 0.05, "GBOPs"),
    ],
)  # fmt: skip
def test_every_unit_is_read_however_it_is_spaced(text: str, amount: float, unit: str) -> None:
    assert Budget.parse(text) == Budget(amount, unit)


def test_a_share_may_be_of_a_scheme_with_rules() -> None:
    assert Budget.parse("115%bops@W4A4").of == Scheme.parse("W4A4")
    assert Budget.parse("80%size@W8A8,heads=16").of == Scheme.parse("W8A8,heads=16")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no budget: write 4.5bit, 40%size"), ("   ", "is no budget"), ("4.5", "'4.5' is no budget"),
        ("bit", "is no budget"), ("%size", "'%size' is no budget"), ("nan bit", "'nan bit' is no budget"),
        ("inf bit", "is no budget"), ("-4bit", "is no budget"), ("4,5bit", "is no budget"), ("1e3MB", "is no budget"),
        ("4%bit", "is no budget"), ("40size", "is no budget"), ("4 bops", "is no budget"), ("4KB", "is no budget"),
        ("4bit@W4A4", "'4bit@W4A4' is no budget"), ("1MB@W4A4", "is no budget"), ("40%size@", "is no budget"),
        ("4bit 40%size", "is no budget"), ("4.5bit\n6", "is no budget"),
        ("0bit", "the budget 0bit is nothing: it must be more than 0"), ("0.00%size", "is nothing"),
        ("40%size@W4", "'W4' is no scheme"), ("40%size@W99A4", "99 weight bits are not possible"),
        ("40%bops@none.json", r"none\.json"), (f"{'9' * 400}bit", "is no budget"), (f"{'9' * 5000}MB", "is no budget"),
    ],
)  # fmt: skip
def test_what_is_no_budget_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        Budget.parse(text)
    assert "\n" not in str(told.value)


def test_several_budgets_are_read_and_none_is_refused() -> None:
    assert parse_budgets(["4.5bit", "1.2MB"]) == (Budget(4.5, "bit"), Budget(1.2, "MB"))
    with pytest.raises(InputError, match=r"no budget was given: write 4\.5bit"):
        parse_budgets([])
    with pytest.raises(InputError, match="'much' is no budget"):
        parse_budgets(["4.5bit", "much"])


@pytest.mark.parametrize(
    "text",
    ["4.5bit", "6abit", "40%size", "1.2MB", "115%bops@W4A4", "80%size@W8A8-affine,heads=16,*.mix=A8", "1234567GBOPs",
     "4.12345678bit", "0.00001MB", "12345678.5MB"],
)  # fmt: skip
def test_text_comes_back_as_it_was(text: str) -> None:
    assert str(Budget.parse(text)) == text


@given(amount=st.floats(1e-9, 1e11), unit=st.sampled_from(["bit", "wbit", "abit", "%size", "MB", "%bops", "GBOPs"]))
def test_any_amount_is_printed_so_that_it_is_read_again(amount: float, unit: str) -> None:
    budget = Budget(amount, unit)
    assert Budget.parse(str(budget)) == budget


def test_bits_of_weights_are_their_average_with_what_stays_in_full_precision() -> None:
    found = limit("4.5wbit")
    # 100 weights at 8 bits, 300 at 4, 10 at 32
    assert amount(found, [(8, 2), (4, 3), (0, 9)]) == pytest.approx((800 + 1200 + 320) / 410)
    assert (found.most, found.fixed) == (4.5, pytest.approx(320 / 410))
    assert taken(found, [(8, 2), (4, 3), (0, 9)]) == pytest.approx((2000 / 410) / (4.5 - 320 / 410))
    assert found.amount(1.0) == "4.50 bits a weight"


def test_bits_of_activations_are_their_average_over_the_values_that_are_read() -> None:
    found = limit("6abit")
    assert amount(found, [(8, 8), (2, 4), (0, 16)]) == pytest.approx((8000 + 1600 + 3200) / 1600)
    assert found.amount(8 / 6) == "8.00 bits an activation"


def test_size_is_of_weights_as_packed_and_all_else_in_32_bits() -> None:
    whole = PROFILE.size_bytes(TOP)
    assert whole == 400 * 2 + (10 + 7) * 4
    found = limit("50%size")
    assert found.most == pytest.approx(whole / 2)
    assert amount(found, [(8, 2), (3, 3), (0, 9)]) == pytest.approx(100 + 300 * 3 / 8 + 68)
    assert limit("0.0005MB").most == pytest.approx(500)
    assert limit("50%size@W8A8").most == pytest.approx((400 + 68) / 2)
    assert limit("0.0005MB").amount(1.0) == "500 bytes"


def test_bit_operations_are_products_of_bits_and_those_of_two_activations_their_square() -> None:
    found = limit("25%bops")
    assert found.most == pytest.approx((2000 + 3000 + 500) * 256 / 4 + 50 * 1024 / 4)
    bits = [(8, 6), (4, 3), (0, 5)]
    assert amount(found, bits) == pytest.approx(2000 * 48 + 3000 * 12 + 500 * 25 + 50 * 1024)
    assert limit("0.001GBOPs").most == pytest.approx(1e6)
    assert limit("0.001GBOPs").amount(1.0) == "1,000,000 bit operations"


def test_shares_are_of_the_largest_candidate_unless_a_scheme_is_named() -> None:
    eight = Scheme.parse("W8A8")
    assert limit("25%bops", eight).most == pytest.approx(5500 * 64 / 4 + 50 * 1024 / 4)
    four = 2000 * 64 + 3500 * 16 + 50 * 1024  # the first layer keeps 8 bits
    assert limit("100%bops@W4A4", eight).most == pytest.approx(four)
    assert limit("100%bops@W4A4,middle=2", eight).most == pytest.approx(four - 3000 * 12)


@pytest.mark.parametrize("bits", [2, 4, 5, 8, 16])
def test_n_bits_are_the_weights_average_and_the_operations_of_all_layers_at_n(bits: int) -> None:
    weights, operations = limits(f"{bits}bit")
    assert weights.most == bits and operations.most == PROFILE.cost(Scheme(bits, bits)).bops
    assert {weights.name, operations.name} == {f"{bits}bit"}


def test_half_bits_count_in_between() -> None:
    _, operations = limits("4.5bit")
    assert operations.most == pytest.approx(2000 * 64 + 3500 * 4.5**2 + 50 * 1024)


@pytest.mark.parametrize("text", ["5wbit", "5abit", "50%size", "0.0003MB", "25%bops", "0.0005GBOPs"])
@given(bits=PAIRS)
def test_what_bits_take_is_what_the_scheme_of_them_costs(text: str, bits: Pairs) -> None:
    found, scheme = limit(text), scheme_of(PROFILE.layers, bits, Scheme(8, 8))
    cost = PROFILE.cost(scheme)
    figures = {
        "wbit": cost.average_weight_bits, "abit": cost.average_activation_bits, "bops": float(cost.bops),
        "size": float(PROFILE.size_bytes(scheme)),
    }  # fmt: skip
    unit = {"%size": "size", "MB": "size", "%bops": "bops", "GBOPs": "bops"}.get(Budget.parse(text).unit, text[1:])
    whole_bytes = 1.0 if unit == "size" else 0.0  # a file has no half ones
    assert 0 <= figures[unit] - amount(found, bits) + 1e-9 * figures[unit] <= whole_bytes + 2e-9 * figures[unit]


@pytest.mark.parametrize("text", ["0.5wbit", "0.00004MB", "0.00001GBOPs"])
def test_less_than_what_stays_in_full_precision_takes_can_never_be_met(text: str) -> None:
    assert np.isinf(limit(text).use(np.arange(3), np.array([2, 2, 0]), np.array([2, 2, 2]))).all()


def test_a_scheme_that_shares_are_of_must_fit_the_network() -> None:
    with pytest.raises(InputError, match="gives bits to nothing"):
        limits("50%size@W4A4,nothing=8")
    with pytest.raises(InputError, match="gives bits to nothing"):
        limits("50%bops@W4A4,nothing=8")
