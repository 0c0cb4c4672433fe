"""The options of methods, derived in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import pytest

from sfcore.errors import InputError
from sfcore.quant.methods import methods
from sfcore.quant.methods.options import (
    KINDS,
    MAIN,
    as_words,
    defaults,
    idle,
    in_use,
    option,
    options_of,
    value_of,
)
from sfcore.quant.methods.recipe import Recipe, configured


@dataclass(frozen=True)
class Warmer(Recipe):
    """A method of somebody's own: an option of its own, and another default of a known one."""

    lam: float = 2.0
    heat: float = option(1.0, "Heat", "How warm.", sign="H", least=0, most=40)


@pytest.mark.parametrize("name", methods())
def test_every_option_of_every_method_has_a_label_and_a_tooltip(name: str) -> None:
    known = options_of(methods()[name])
    assert all(each.label and each.tooltip.endswith(".") for each in known.values())
    assert list(known) == [each.name for each in fields(methods()[name]) if each.init]
    assert set(MAIN) - {"iterations"} <= set(known)


@pytest.mark.parametrize("name", methods())
def test_every_option_is_of_a_kind_that_forms_and_commands_know(name: str) -> None:
    for each in options_of(methods()[name]).values():
        assert {*each.kinds} <= KINDS.keys() and each.optional == bool(each.none)


def test_an_option_of_a_methods_own_brings_its_words_along() -> None:
    assert options_of(Warmer)["heat"].tooltip == "How warm."
    assert "heat" in in_use(Warmer, {}) and defaults(Warmer)["heat"] == 1.0
    with pytest.raises(InputError, match=r"H = 41\.0: choose a number from 0 to 40"):
        Warmer(heat=41.0)


def test_another_default_changes_nothing_else_of_an_option() -> None:
    assert defaults(Warmer)["lam"] == 2.0 and options_of(Warmer)["lam"] == options_of(Recipe)["lam"]
    with pytest.raises(InputError, match="λ = 0"):
        Warmer(lam=0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("objective", "best", "there is no objective 'best': choose one of focus"), ("k", 0, "k = 0: choose 1 or more"),
        ("reach", 0.0, "reach = 0.0: it must be a number greater than 0, or None for no limit"),
        ("drop", 1.5, "drop = 1.5: choose a number from 0 to 1"), ("features", float("inf"), "features = inf"),
        ("learn", "weights,colour", "cannot be learned"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_saying_what_is_allowed(name: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Recipe(**{name: value})


@pytest.mark.parametrize("name", methods())
def test_every_option_comes_back_from_the_words_that_repeat_it(name: str) -> None:
    recipe = methods()[name]()
    given = {each: getattr(recipe, each) for each in options_of(type(recipe))}
    read = {each: value_of(text) for each, _, text in (word.partition("=") for word in as_words(given))}
    assert configured(name, read) == recipe


def test_names_that_look_like_numbers_stay_names() -> None:
    values = {"heads": ["3", "true"], "schedule": "null", "k": 3, "relative": True, "reach": None}
    words = (word.partition("=") for word in as_words(values))
    assert {name: value_of(text) for name, _, text in words} == values


def test_what_a_method_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no option 'colour'"):
        configured("netwise", {"colour": 1})
    with pytest.raises(InputError, match="W4A4,heads=16"):
        configured("best", {"wide_heads": True})


def test_options_are_in_use_by_the_values_of_others() -> None:
    netwise = methods()["netwise"]
    assert "k" not in in_use(netwise, {}) and "k" in in_use(netwise, {"selection": "fast"})
    assert "lam" in in_use(netwise, {"objective": "focus"}) and "reach" in in_use(netwise, {})
    assert not {"lam", "k", "heads", "check_every"} & set(in_use(methods()["brecq"], {"objective": "focus"}))


def test_why_an_option_changes_nothing_is_said() -> None:
    netwise = methods()["netwise"]
    why = idle(netwise, {})
    assert (why["k"], why["lam"], why["step_rate"]) == (
        "selects no heads", "has no confidence term", "does not learn steps or offsets",
    )  # fmt: skip
    assert idle(methods()["calibrate"], {})["k"] == "does not tune on heads"
    assert set(why) == set(options_of(netwise)) - set(in_use(netwise, asdict(netwise())))
