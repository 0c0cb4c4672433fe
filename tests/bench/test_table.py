"""Tables are functions of rows: means and deviations by hand, what is missing, what is best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfcore.bench.report import all_tables
from sfcore.bench.rows import Row
from sfcore.bench.table import (
    F1,
    LABELS,
    NONE,
    Entry,
    Table,
    ablation,
    comparison,
    costs,
    efficiency,
    over_k,
    reached,
    spread,
)


def row(method: str, f1: float | None, detector: str = "a", bits: str = "W4A4", seed: int = 0, **more: object) -> Row:
    given = {"calibration_seconds": 1.0, "curve_seconds": 0.0, "tuning_seconds": 9.0, "iterations": 5} | more
    return Row(detector, bits, method, seed, "unseen", 10, f1, 1.0, None, **given)  # type: ignore[arg-type]


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in line] for line in table.body]


def test_values_are_means_with_the_sample_deviation() -> None:
    """Of 1, 2 and 6 the mean is 3, and the squared deviations 4 + 1 + 9 over two are 7."""
    found = spread([1.0, None, 2.0, 6.0, float("nan")])
    assert found and (found.mean, found.deviation) == (3.0, pytest.approx(7**0.5))
    assert found.text(2) == "3.00 ± 2.65"
    assert (one := spread([2.0])) and one.text(1) == "2.0"
    assert spread([None]) is None


def test_costs_stand_by_scheme_and_detector_whatever_the_method() -> None:
    cost = {"average_weight_bits": 4.061, "average_activation_bits": 4.57, "bops": 7_820_000_000}
    long = f"W4A4,{','.join(f'layer{index}=8' for index in range(30))}"
    rows = [row("plain", 0.5), row("focus", 0.5, seed=1, **cost), row("plain", 0.5, "b", bits=long, **cost)]
    table = costs(rows, "bits", "all")
    assert table.header == ("bits", "average or sum", "a", "b")
    assert texts(table) == [
        ["W4A4", "bits of a weight", "4.06", NONE],
        ["W4A4", "bits of an activation", "4.57", NONE],
        ["W4A4", "bit operations, G", "7.82", NONE],
        ["W4A4 with 30 rules", "bits of a weight", NONE, "4.06"],
        ["W4A4 with 30 rules", "bits of an activation", NONE, "4.57"],
        ["W4A4 with 30 rules", "bit operations, G", NONE, "7.82"],
    ]
    assert next(one.name for one in all_tables(rows)) == "bits"
    assert "bits" not in [one.name for one in all_tables([row("plain", 0.5)])]  # of an earlier version: nothing known


def test_table_1_has_full_precision_on_top_and_the_best_bold() -> None:
    rows = [
        row("plain", 0.5, seed=0), row("plain", 0.7, seed=1), row("focus", 0.8), row("focus", 0.8, seed=1),
        row("plain", 0.9, "b"), row("focus", 0.90004, "b"), row("late", 0.2, "b"),
        row("plain", 0.95, bits="W8A8"),
    ]  # fmt: skip
    table = comparison(rows, F1, "table1", "all")
    assert table.header == ("bits", "method", "a", "b", "first in")
    assert texts(table) == [
        [NONE, "full precision", "1.000", "1.000", NONE],
        ["W4A4", "plain", "0.600 ± 0.141", "0.900", "1 of 2"],
        ["W4A4", "focus", "0.800 ± 0.000", "0.900", "2 of 2"],
        ["W4A4", "late", NONE, "0.200", "0 of 2"],
        ["W8A8", "plain", "0.950", NONE, "1 of 2"],
    ]
    assert [entry.bold for entry in table.body[1]] == [False, False, False, True, False]  # a tie with the next line
    assert [entry.bold for entry in table.body[2]] == [False, False, True, True, False]


def test_full_precision_has_its_own_figure_against_labels() -> None:
    rows = [row("plain", 0.5, labels=0.4, full_labels=0.75), row("plain", 0.5, seed=1, labels=0.5, full_labels=0.75)]
    assert texts(comparison(rows, LABELS, "", ""))[0] == [NONE, "full precision", "0.750", NONE]


def test_table_2_tells_what_each_part_of_selective_focus_adds() -> None:
    methods = {"selective-focus": 0.9, "netwise": 0.6, "focus-only": 0.8, "qdrop": 0.99}
    rows = [row(method, f1, detector) for method, f1 in methods.items() for detector in ("a", "b")]
    table = ablation([*rows, row("netwise", 0.6, "b", seed=1, tuning_seconds=19.0)], F1, "", "")
    assert texts(table) == [
        ["W4A4", "no", "no", "0.600", "0.600 ± 0.000", "13"],  # of 10, 10 and 20 seconds
        ["W4A4", "yes", "no", "0.800", "0.800", "10"],
        ["W4A4", "yes", "yes", "0.900", "0.900", "10"],
    ]
    assert table.body[2][3] == Entry("0.900", bold=True)


def test_table_3_compares_times_with_those_of_qdrop() -> None:
    """Against 40 and 90 s, 10 s are a quarter and a ninth: geometric mean 1/6."""
    rows = [
        row("qdrop", 0.9, "a", tuning_seconds=39.0, reference_seconds=39.0),
        row("qdrop", 0.8, "b", tuning_seconds=89.0, reference_seconds=89.0),
        row("netwise", 0.7, "a", reference_seconds=5.0),
        row("netwise", 0.85, "b", tuning_seconds=4.0, curve_seconds=5.0),
        row("calibrate", 0.1, "a", iterations=0),
        row("torn", 0.1, "a", tuning_seconds=None),
    ]
    table = efficiency(rows, F1, "", "")
    assert texts(table) == [
        ["W4A4", "qdrop", "0.900 in 40 s", "0.800 in 90 s", "1.00"],
        ["W4A4", "netwise", "0.700 in 10 s", "0.850 in 10 s", "0.17"],
        ["W4A4", "torn", "0.100 in – s", NONE, NONE],
    ]
    assert [entry.bold for entry in table.body[1]] == [False, False, False, True, False]
    soon = reached(rows, "", "")
    assert soon.header == ("bits", "method", "a", "b")
    assert texts(soon)[:2] == [["W4A4", "qdrop", "39", "89"], ["W4A4", "netwise", "5", NONE]]


def test_table_7_goes_over_k_and_no_other_table_does() -> None:
    rows = [row("selective-focus", 0.9, k=2), row("selective-focus:k=1", 0.7, k=1), row("netwise", 0.99)]
    assert texts(over_k(rows, F1, "", "")) == [["W4A4", "1", "0.700"], ["W4A4", "2", "0.900"]]
    assert "k=1" not in str(texts(comparison(rows, F1, "", "")) + texts(efficiency(rows, F1, "", "")))


def test_a_report_has_the_tables_that_its_rows_can_fill() -> None:
    rows = [row("calibrate", 0.3, iterations=0, metric=None)]
    assert [table.name for table in all_tables(rows)] == ["table1-unseen-f1", "table1-unseen-distortion"]
    rows += [row("netwise", 0.5), row("selective-focus", 0.6, k=2), row("selective-focus:k=1", 0.5, k=1)]
    names = [table.name.removesuffix("-f1").removesuffix("-distortion") for table in all_tables(rows)]
    assert names == [f"table{n}-unseen" for n in (1, 1, 2, 2, 3, 7, 7)]
    assert all_tables([]) == []


def test_tables_are_written_as_markdown_and_csv() -> None:
    table = Table("t", "A title", ("bits", "a, b"), ((Entry("W4A4"), Entry("0.5", bold=True)),))
    assert table.markdown() == "| bits | a, b |\n| --- | --- |\n| W4A4 | **0.5** |\n"
    assert table.csv() == b'bits,"a, b"\r\nW4A4,0.5\r\n'


@pytest.mark.parametrize("name", ["夜" * 85, "a" * 255, "a/b|c\\n" * 40])
def test_tables_of_sources_with_long_names_have_names_that_a_disk_takes(name: str) -> None:
    tables = all_tables([replace(row("netwise", 0.5), test=name), replace(row("netwise", 0.5), test=f"{name}2")])
    names = [table.name for table in tables]
    assert len(names) == len(set(names)) and max(len(f"{name}.csv".encode()) for name in names) < 255
