"""What makes calibration fast changes no range: held against the definitions, written out one value after the other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from sfcore.quant.calibrate import _largest
from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.minmax import minmax

GRIDS = [Grid(-128, 127), Grid(0, 255), Grid(-8, 7), Grid(0, 15), Grid(0, 15, affine=True)]


def plain_omse(values: Tensor, grid: Grid) -> Range:
    whole, errors = minmax([values], grid), []
    shares = torch.linspace(0.05, 1.1, 80).tolist()
    for share in shares:
        scale, zero = (whole.scale * share).unsqueeze(1), whole.zero.unsqueeze(1)
        rounded = ((values / scale).round() + zero).clamp(grid.low, grid.high)
        errors.append((((rounded - zero) * scale - values) ** 2).mean(1))
    best = torch.stack(errors).argmin(0)
    return Range(whole.scale * torch.tensor(shares)[best], whole.zero)


def plain_average(batches: Sequence[Tensor], grid: Grid) -> Range:
    found = [plain_omse(values, grid) for values in batches]
    scale, below = found[0].scale, found[0].zero * found[0].scale
    for one in found[1:]:
        scale = 0.9 * scale + (1 - 0.9) * one.scale
        below = 0.9 * below + (1 - 0.9) * one.zero * one.scale
    return Range(scale, (below / scale).round())


def drawn(rows: int, widths: Sequence[int], grid: Grid) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(rows, width, generator=generator) ** 3 for width in widths]
    return values if grid.low < 0 or grid.affine else [each.relu() for each in values]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_omse_is_its_definition_to_the_bit(grid: Grid) -> None:
    values = drawn(12, [300], grid)[0]
    found, expected = CALIBRATORS["omse"]([values], grid), plain_omse(values, grid)
    assert torch.equal(found.scale, expected.scale) and torch.equal(found.zero, expected.zero)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("rows", [1, 3])
def test_batches_searched_together_are_averaged_as_if_one_by_one(grid: Grid, rows: int) -> None:
    batches = drawn(rows, [4097] * 20 + [2731], grid)
    found, expected = CALIBRATORS["moving-average-omse"](batches, grid), plain_average(batches, grid)
    assert torch.equal(found.scale, expected.scale) and torch.equal(found.zero, expected.zero)


@pytest.mark.parametrize("values", [[1.0, -3.0, 2.0], [-1.0, 3.0], [-2.0, 2.0], [2.0, -2.0], [0.0, 0.0]])
def test_the_largest_magnitude_is_found_by_both_ends(values: list[float]) -> None:
    x = torch.tensor(values)
    assert torch.equal(_largest(x, torch.stack(x.aminmax())), x[x.abs().argmax()].reshape(1))


def test_a_value_that_is_not_finite_is_among_the_samples() -> None:
    x = torch.tensor([1.0, float("nan"), 2.0])
    assert _largest(x, torch.stack(x.aminmax())).isnan()
