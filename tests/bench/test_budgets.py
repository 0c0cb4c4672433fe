"""Budgets in the place of schemes: each detector has bits of its own, and the tables call them by the budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sfcore.bench.allocations import allocated
from sfcore.bench.table import bits_name
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.quant.cost import Profile
from sfcore.quant.scheme import Scheme
from sfcore.resources import sample_data
from tests.bench.fakes import plan


def test_a_cell_has_its_detectors_own_scheme_and_goes_by_the_budget(tmp_path: Path) -> None:
    asked = plan("netwise", schemes=("W4A4", "4.5bit"))
    own = {(detector, "4.5bit"): Scheme.parse("W4A4,heads=16") for detector in asked.detectors}
    cells = replace(asked, allocated=own).cells(tmp_path)
    assert {(cell.bits, cell.spec.scheme) for cell in cells} == {("W4A4", "W4A4"), ("4.5bit", "W4A4,heads=16")}
    assert any("4.5bit" in cell.path.name for cell in cells)
    assert len({cell.path for cell in cells}) == len(cells)


def test_a_budget_without_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no bits were allocated to .* for 4\.5bit"):
        plan("netwise", schemes=("4.5bit",)).cells(tmp_path)


def test_without_a_budget_nothing_is_measured(tmp_path: Path) -> None:
    asked = plan("netwise", schemes=("W4A4",))
    assert allocated(asked, tmp_path / "schemes") == asked
    assert not (tmp_path / "schemes").exists()


def test_tables_call_bits_by_the_budget() -> None:
    assert bits_name("4.5bit") == "4.5bit"
    assert bits_name("w4a4") == "W4A4"


@pytest.mark.slow
def test_bits_are_chosen_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    asked = replace(
        plan("netwise", schemes=("4.5bit",)),
        detectors=("bezierlanenet-tiny",), images=(f"{sample_data() / 'scenes'}[:2]",), limit=None,
    )  # fmt: skip
    found = allocated(asked, tmp_path, (4, 8))
    scheme = found.allocated["bezierlanenet-tiny", "4.5bit"]
    assert Scheme.load(tmp_path / "bezierlanenet-tiny-4.5bit.json") == scheme
    assert Profile.of(create("bezierlanenet-tiny")).cost(scheme).average_weight_bits <= 4.5
    Scheme.parse("W8A8").save(tmp_path / "bezierlanenet-tiny-4.5bit.json")
    assert allocated(asked, tmp_path, (4, 8)).allocated["bezierlanenet-tiny", "4.5bit"] == Scheme.parse("W8A8")
