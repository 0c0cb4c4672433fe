"""The options of methods, derived in one place."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pytest

from sfcore.errors import InputError
from sfcore.quant.methods import methods
from sfcore.quant.methods.options import (
    MAIN,
    OPTIONS,
    Option,
    as_words,
    configured,
    defaults,
    in_use,
    options_of,
    value_of,
)
from sfcore.quant.methods.recipe import Recipe


@pytest.mark.parametrize("name", methods())
def test_every_option_of_every_method_has_a_label_and_a_tooltip(name: str) -> None:
    known = options_of(methods()[name])
    assert all(option.label and option.tooltip.endswith(".") for option in known.values())
    assert list(known) == [each.name for each in fields(methods()[name]) if each.init]
    assert set(MAIN) - {"iterations"} <= set(known)


def test_no_option_is_described_that_no_method_has() -> None:
    assert set(OPTIONS) == {each.name for each in fields(Recipe)}


def test_an_option_of_a_methods_own_brings_its_words_along() -> None:
    @dataclass(frozen=True)
    class Warmer(Recipe):
        heat: float = field(default=1.0, metadata={"option": Option("Heat", "How warm.")})

    assert options_of(Warmer)["heat"].tooltip == "How warm."
    assert "heat" in in_use(Warmer, {}) and defaults(Warmer)["heat"] == 1.0


def test_values_come_back_from_the_words_that_repeat_them() -> None:
    values = {"k": 3, "lam": 0.5, "learn": ["weights", "steps"], "relative": True, "reach": None, "schedule": "cosine"}
    read = {name: value_of(text) for name, _, text in (word.partition("=") for word in as_words(values))}
    assert read == values
    assert configured("netwise", read).learn == ("weights", "steps")


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
