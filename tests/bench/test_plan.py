"""What a bench is asked to do, and the cells that this makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfcore.bench.plan import Cell, Setting, Variant
from sfcore.errors import InputError
from tests.bench.fakes import plan


def options(cells: list[Cell]) -> dict[str, dict[str, object]]:
    return {f"{cell.spec.scheme} {cell.label}": dict(cell.spec.options) for cell in cells}


def test_methods_are_read_with_labels_and_options() -> None:
    assert Variant.parse("qdrop") == Variant("qdrop", "qdrop")
    assert Variant.parse("qdrop:drop=0.3") == Variant("qdrop:drop=0.3", "qdrop", {"drop": 0.3})
    text = "ACIQ=calibrate:activation_calibrator=aciq,bias_correction=false"
    assert Variant.parse(text) == Variant(
        "ACIQ", "calibrate", {"activation_calibrator": "aciq", "bias_correction": False}
    )
    for wrong in ("", "=qdrop", "qdrop:drop", "qdrop:=1"):
        with pytest.raises(InputError, match="is no method"):
            Variant.parse(wrong)


def test_transforms_are_those_of_some_cells_after_the_usual_ones(tmp_path: Path) -> None:
    both = "both=calibrate:transforms=gamma-migration+token-clip"
    listed = Setting.parse('calibrate.transforms=["shift-scale"]')
    cells = plan("calibrate", "netwise", both, settings=(listed,)).cells(tmp_path)
    found = {cell.label: cell.spec.transforms for cell in cells}
    assert found == {
        "calibrate": ("fold-batch-norm", "shift-scale"),
        "netwise": ("fold-batch-norm",),
        "both": ("fold-batch-norm", "gamma-migration", "token-clip"),
    }
    for wrong, message in (("7", "names none"), ("a+a", "named twice"), ("guess", "there is no transform")):
        with pytest.raises(InputError, match=message):
            plan(f"calibrate:transforms={wrong}").cells(tmp_path)


def test_an_option_that_became_part_of_the_scheme_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="write --bits W4A4,heads=16"):
        Setting.parse("calibrate.wide-heads=false")
    with pytest.raises(InputError, match="write --bits W4A4,heads=16"):
        plan("calibrate:wide_heads=false").cells(tmp_path)


def test_settings_are_read_with_where_they_hold() -> None:
    assert Setting.parse("learning-rate=2e-4") == Setting(frozenset(), "learning_rate", 2e-4)
    assert Setting.parse("W8A8.netwise.batch=4") == Setting(frozenset({"W8A8", "netwise"}), "batch", 4)
    for wrong in ("iterations", "=3", "netwise.=3", ".iterations=3", "iterations="):
        with pytest.raises(InputError, match="sets nothing"):
            Setting.parse(wrong)


def test_cells_are_ordinary_runs_seed_by_seed(tmp_path: Path) -> None:
    cells = plan("calibrate", "netwise", schemes=("W8A8", "w4a4"), seeds=(3, 1)).cells(tmp_path)
    assert [str(cell) for cell in cells][:4] == [
        "lstr-tiny W8A8 calibrate, seed 3",
        "lstr-tiny W8A8 netwise, seed 3",
        "lstr-tiny W4A4 calibrate, seed 3",
        "lstr-tiny W4A4 netwise, seed 3",
    ]
    assert [cell.spec.seed for cell in cells] == [3] * 4 + [1] * 4
    assert cells[3].path == tmp_path / "lstr-tiny-W4A4-netwise-3" and len({cell.path for cell in cells}) == 8


def test_later_settings_win_and_methods_without_an_option_do_without(tmp_path: Path) -> None:
    texts = ("iterations=300", "W8A8.iterations=100", "W8A8.netwise.iterations=50", "activation_calibrator=minmax")
    chosen = tuple(map(Setting.parse, texts))
    methods = ("calibrate", "netwise", "short=netwise:iterations=7", "selective-focus")
    cells = plan(*methods, schemes=("W8A8", "W4A4"), settings=chosen).cells(tmp_path)
    found = {name: given.get("iterations") for name, given in options(cells).items()}
    assert found == {
        "W8A8 calibrate": None, "W8A8 netwise": 50, "W8A8 short": 7, "W8A8 selective-focus": 100,
        "W4A4 calibrate": None, "W4A4 netwise": 300, "W4A4 short": 7, "W4A4 selective-focus": 300,
    }  # fmt: skip
    assert {cell.spec.activation_calibrator for cell in cells} == {"minmax"}


def test_settings_hold_for_a_scheme_whatever_its_rules(tmp_path: Path) -> None:
    chosen = (Setting.parse("W4A4.iterations=3"),)
    found = options(plan("netwise", schemes=("w4a4,heads=16", "W4A4", "W8A8"), settings=chosen).cells(tmp_path))
    assert found == {
        "W4A4,heads=16 netwise": {"iterations": 3}, "W4A4 netwise": {"iterations": 3}, "W8A8 netwise": {},
    }  # fmt: skip


def test_schemes_of_many_rules_have_folders_of_their_own(tmp_path: Path) -> None:
    names = [f"*.layer{number}" for number in range(40)]
    schemes = [f"W4A4,{','.join(f'{name}={bits}' for name in names)}" for bits in (6, 8)]
    cells = plan("netwise", schemes=tuple(schemes)).cells(tmp_path)
    assert len({cell.path for cell in cells}) == 2 and all(len(cell.path.name) <= 200 for cell in cells)


def test_settings_hold_for_a_granularity_of_methods(tmp_path: Path) -> None:
    chosen = tuple(map(Setting.parse, ("net.iterations=60", "block.iterations=20")))
    found = options(plan("netwise", "qdrop", settings=chosen).cells(tmp_path))
    assert found == {"W4A4 netwise": {"iterations": 60}, "W4A4 qdrop": {"iterations": 20}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("60", 60), (".05", 0.05), ("5e-5", 5e-5), ("false", False), ("null", None), ("random", "random"), ("[1]", [1])],
)
def test_values_are_read_as_json_or_as_people_write_numbers(text: str, value: object) -> None:
    found = Setting.parse(f"option={text}").value
    assert found == value and type(found) is type(value)


def test_k_adds_cells_for_other_numbers_of_heads_than_the_usual(tmp_path: Path) -> None:
    """LSTR has four heads, of which two are selected; SCNN two, of which one is."""
    cells = plan("selective-focus", detectors=("lstr-tiny", "scnn-tiny"), ks=(1, 2, 3, 5)).cells(tmp_path)
    labels = [(cell.spec.detector, cell.label, cell.spec.options.get("k")) for cell in cells]
    assert labels == [
        ("lstr-tiny", "selective-focus", None),
        ("lstr-tiny", "selective-focus:k=1", 1),
        ("lstr-tiny", "selective-focus:k=3", 3),
        ("scnn-tiny", "selective-focus", None),
        ("scnn-tiny", "selective-focus:k=2", 2),
    ]


def test_cells_share_curves_by_detector_and_seed_alone(tmp_path: Path) -> None:
    cells = plan("netwise", "selective-focus", schemes=("W8A8", "W4A4"), ks=(1,)).cells(tmp_path)
    keys = {cell.label: cell.curves for cell in cells}
    assert keys["netwise"] is None and keys["selective-focus"] == keys["selective-focus:k=1"] is not None
    (other, *_) = plan("selective-focus", seeds=(1,)).cells(tmp_path)
    assert other.curves != keys["selective-focus"]


@pytest.mark.parametrize(
    ("methods", "changes", "said"),
    [
        (("magic",), {}, "no method 'magic'"),
        (("netwise",), {"detectors": ("yolo",)}, "no detector 'yolo'"),
        (("netwise",), {"detectors": ("lstr-r18s",)}, "ships no weights"),
        (("netwise",), {"schemes": ("W0A8",)}, "0 weight bits"),
        (("netwise",), {"images": ("nowhere",)}, "no images at"),
        (("netwise:batch=0",), {}, "batch = 0"),
        (("netwise", "netwise"), {}, "the same name"),
        (("netwise",), {"settings": (Setting.parse("qdrop.batch=4"),)}, "set for 'qdrop', which is not in this bench"),
        (("netwise",), {"settings": (Setting.parse("speed=4"),)}, "no method here has an option 'speed'"),
        (("netwise",), {"weights": {"ganet-tiny": "x"}}, "weights are given for 'ganet-tiny'"),
        (("netwise",), {"ks": (1,)}, "k is varied for selective-focus"),
    ],
)
def test_what_fits_nothing_is_refused(
    tmp_path: Path, methods: tuple[str, ...], changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        plan(*methods, **changes).cells(tmp_path)
