"""Schemes: text, rules, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.errors import InputError
from sfcore.quant.scheme import Bits, Rule, Scheme


@pytest.mark.parametrize(
    "text", ["W4A4", "W8A4-tensor-affine", "W4A4,heads=16", "W4A4-affine,heads=W8A16,*.mix=A8,layer?.0=W3"]
)
def test_text_comes_back_as_it_was(text: str) -> None:
    assert str(Scheme.parse(text)) == text and Scheme.parse(text.replace("W", "w", 1)) == Scheme.parse(text)


def test_rules_name_layers_heads_and_edges_and_the_last_one_counts() -> None:
    scheme = Scheme.parse("W4A4,heads=16,neck*=W8,neck.last=A3,first=2")
    assert scheme.bits_of("head.out", edge=True, head=True)[:2] == (16, 16)
    assert scheme.bits_of("neck.conv", edge=False)[:2] == (8, 4)
    assert scheme.bits_of("neck.last", edge=False)[:2] == (8, 3)
    assert scheme.bits_of("first", edge=True)[:2] == (2, 2)  # a rule that names an edge layer may take its 8 bits
    assert scheme.bits_of("other", edge=True) == Bits(8, 8)


def test_a_rule_of_many_layers_leaves_the_first_and_last_their_8_bits() -> None:
    scheme = Scheme.parse("W4A4,heads=W2,neck*=3,neck.conv=A2")
    assert scheme.bits_of("head.out", edge=True, head=True)[:2] == (8, 8)
    assert scheme.bits_of("head.conv", edge=False, head=True)[:2] == (2, 4)
    assert scheme.bits_of("neck.stem", edge=True)[:2] == (8, 8)
    assert scheme.bits_of("neck.conv", edge=True)[:2] == (8, 2)


def test_a_name_that_no_layer_has_is_refused_and_those_like_it_are_told() -> None:
    layers = ["stem", "block.conv1", "block.conv2", "attention.mix"]
    Scheme.parse("W4A4,heads=8,stem=8,*.mix=A8,none.*=3").check_names(layers)
    with pytest.raises(InputError, match=r"block\.conv3, but .* such as block\.conv"):
        Scheme.parse("W4A4,block.conv3=8").check_names(layers)


@pytest.mark.parametrize(
    ("text", "said"),
    [("W4A4,heads", "gives no layer its bits"), ("W4A4,x=", "no bits"), ("W4A4,x=q8", "'q8' are no bits"),
     ("W4A4,x=17", "17 weight bits are not possible"), ("W4A4,=8", "no pattern"), ("W4", "no scheme"),
     ("W4A4,a=8,b=8,a=W4", "gives a bits twice"), (f"W{'9' * 5000}A4", "no scheme")],
)  # fmt: skip
def test_what_is_no_scheme_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Scheme.parse(text)


def test_files_hold_rules_in_their_order(tmp_path: Path) -> None:
    scheme = Scheme.parse("W4A4-affine,a*=8,ab=W3A5")
    scheme.save(tmp_path / "scheme.json")
    assert Scheme.parse(str(tmp_path / "scheme.json")) == scheme
    layers = {"conv1": {"weights": 8, "activations": 4}, "heads": 16, "x.mix": "A8"}
    (tmp_path / "b.json").write_text(json.dumps({"format": 1, "scheme": "W4A4", "layers": layers}))
    assert Scheme.load(tmp_path / "b.json").rules == (
        Rule("conv1", 8, 4),
        Rule("heads", 16, 16),
        Rule("x.mix", None, 8),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [("no", "must be JSON"), ("[]", "no scheme file"), ('{"format": 2, "scheme": "W4A4"}', "no scheme file"),
     ('{"format": 1, "scheme": 4}', "scheme is 4"), ('{"format": 1, "scheme": "W4A4", "layers": [1]}', "layers is"),
     ('{"format": 1, "scheme": "W4A4", "layers": {"a": true}}', "a is true"),
     ('{"format": 1, "scheme": "W4A4", "layers": {"a": {"weights": "8"}}}', "a is"),
     ('{"format": 1, "scheme": "W4A4", "layers": {"a": 99}}', "99 weight bits")],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_field(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "scheme.json"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        Scheme.parse(str(path))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json"):
        Scheme.parse(str(tmp_path / "none.json"))


def test_long_schemes_have_short_names() -> None:
    scheme = Scheme.parse("W4A4," + ",".join(f"layer{index}=8" for index in range(30)))
    assert scheme.name == "W4A4 with 30 rules" and scheme.slug == "w4a4-with-30-rules"
    assert Scheme.parse("W4A4,heads=16").slug == "w4a4-heads-16"


def test_edges_can_be_given_any_bits_and_layers_can_be_left_in_full_precision() -> None:
    scheme = Scheme.parse("W4A4,edges=32,neck*=32,neck.last=W3,first=6")
    assert str(scheme) == "W4A4,edges=32,neck*=32,neck.last=W3,first=6"
    assert scheme.leaves("other", edge=True) and scheme.leaves("neck.conv", edge=False)
    assert not scheme.leaves("first", edge=True) and scheme.bits_of("first", edge=True)[:2] == (6, 6)
    assert not scheme.leaves("neck.last", edge=False) and scheme.bits_of("neck.last", edge=False)[:2] == (3, 4)
    assert Scheme.parse("W4A4,edges=2").bits_of("any", edge=True)[:2] == (2, 2)
    with pytest.raises(InputError, match="only a whole layer"):
        Scheme.parse("W4A4,neck=W32")
