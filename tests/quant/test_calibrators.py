"""What every calibrator promises, and each one against a direct search or computation of its own."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfcore.errors import InputError
from sfcore.quant.calibrators import CALIBRATORS, Calibrator, Grid, Range
from sfcore.quant.calibrators.aciq import _gauss, _laplace

GRIDS = {"signed": Grid(-8, 7), "unsigned": Grid(0, 15), "affine": Grid(0, 15, affine=True)}


@pytest.fixture(params=CALIBRATORS.names())
def calibrate(request: pytest.FixtureRequest) -> Calibrator:
    return CALIBRATORS[request.param]


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def grid(request: pytest.FixtureRequest) -> Grid:
    return request.param


def batches(grid: Grid, rows: int = 3, count: int = 2) -> list[Tensor]:
    """Bell-shaped values of different widths, as the grid is meant for: never negative, or off the centre."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(rows, 700, generator=generator) * torch.arange(1, rows + 1)[:, None] for _ in range(count)]
    if grid.affine:
        return [v + 1 for v in values]
    return values if grid.low else [v.relu() for v in values]


def ends(found: Range, grid: Grid) -> tuple[Tensor, Tensor]:
    return (grid.low - found.zero) * found.scale, (grid.high - found.zero) * found.scale


# -- what all promise ------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0**-7, 64.0])
def test_larger_values_get_larger_steps(calibrate: Calibrator, grid: Grid, factor: float):
    values = batches(grid)
    before, after = calibrate(values, grid), calibrate([v * factor for v in values], grid)
    torch.testing.assert_close(after.scale, before.scale * factor, rtol=1e-6, atol=0)
    assert torch.equal(after.zero, before.zero)


def test_the_range_holds_most_values_and_is_not_far_wider(calibrate: Calibrator, grid: Grid):
    values = batches(grid)
    found = calibrate(values, grid)
    low, high = ends(found, grid)
    every = torch.cat(values, 1)
    inside = ((every >= low[:, None]) & (every <= high[:, None])).float().mean(1)
    assert (inside > 0.8).all()
    least, most = every.amin(1).clamp_max(0), every.amax(1)
    least = least if grid.affine else torch.minimum(least, -most) * (grid.low < 0)
    assert (high < 1.2 * torch.maximum(most, -least)).all() and (low >= 1.2 * least - found.scale).all()


def test_zero_stays_zero(calibrate: Calibrator, grid: Grid):
    found = calibrate(batches(grid), grid)
    assert torch.equal(found.zero, found.zero.round())
    assert (found.zero >= grid.low).all() and (found.zero <= grid.high).all()
    assert grid.affine or not found.zero.any()
    assert not found.rounded(torch.zeros(3, 1), grid).any()


def test_each_row_has_a_range_of_its_own(calibrate: Calibrator, grid: Grid):
    values = batches(grid)
    together = calibrate(values, grid)
    for row in range(3):
        alone = calibrate([v[row : row + 1] for v in values], grid)
        torch.testing.assert_close((alone.scale[0], alone.zero[0]), (together.scale[row], together.zero[row]))


def test_more_bits_make_smaller_steps(calibrate: Calibrator):
    values = batches(GRIDS["signed"])
    steps = [calibrate(values, Grid(-(2 ** (b - 1)), 2 ** (b - 1) - 1)).scale for b in (2, 4, 8, 12, 16)]
    assert all((fine < coarse).all() for coarse, fine in pairwise(steps))


@pytest.mark.parametrize(
    "values",
    [[0.0] * 9, [3.0] * 9, [-3.0] * 9, [0.5], [0.0], [1e-30, -1e-30], [1e30, 0.1, -0.2], [3e38, -3e38],
     [0.0] * 99 + [1.0]],
    ids=["zeros", "constant", "negative", "one", "one zero", "tiny", "outlier", "huge", "one of many"],
)  # fmt: skip
def test_degenerate_values_get_a_step_that_works(calibrate: Calibrator, grid: Grid, values: list[float]):
    row = torch.tensor([values])
    if grid.low == 0 and not grid.affine:
        row = row.clamp_min(0)
    found = calibrate([row, row], grid)
    assert found.scale.isfinite().all() and (found.scale > 0).all() and found.zero.isfinite().all()
    back = found.rounded(row, grid)
    assert back.isfinite().all() and (back.abs() <= row.abs().amax() * 1.2).all()


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32, allow_subnormal=False), min_size=1, max_size=40),
    st.sampled_from(list(GRIDS)),
)
@pytest.mark.parametrize("name", CALIBRATORS.names())
def test_any_values_get_a_step_that_works(name: str, values: list[float], chosen: str):
    grid, row = GRIDS[chosen], torch.tensor([values])
    row = row.abs() if chosen == "unsigned" else row
    found = CALIBRATORS[name]([row], grid)
    low, high = ends(found, grid)
    assert (found.scale > 0).all() and low.isfinite().all() and high.isfinite().all()
    assert (low <= 0).all() and (high >= 0).all()


def test_an_unknown_calibrator_is_named():
    with pytest.raises(InputError, match=r"there is no calibrator 'mean': choose one of .*omse"):
        CALIBRATORS["mean"]


# -- each against a computation of its own ---------------------------------------------------------


def test_minmax_makes_the_outermost_values_representable():
    values = [torch.tensor([[1.0, -14.0], [0.7, 0.1]]), torch.tensor([[2.0, -3.0], [0.1, 0.2]])]
    assert CALIBRATORS["minmax"](values, GRIDS["signed"]).scale.tolist() == pytest.approx([2.0, 0.1])
    found = CALIBRATORS["minmax"]([torch.tensor([[-1.0, 2.0], [3.0, 1.5]])], GRIDS["affine"])
    assert found.scale.tolist() == pytest.approx([0.2, 0.2]) and found.zero.tolist() == [5.0, 0.0]


@pytest.mark.parametrize("share", [0.9999])
def test_percentile_is_that_of_numpy(share: float):
    values = torch.randn(2, 30_000, generator=torch.Generator().manual_seed(0))
    most = np.percentile(values.abs().numpy(), share * 100, axis=1, method="inverted_cdf")
    np.testing.assert_allclose(CALIBRATORS["percentile"]([values], GRIDS["signed"]).scale, most / 7, rtol=1e-6)
    low, high = np.percentile(values.numpy(), [(1 - share) * 50, (1 + share) * 50], axis=1, method="inverted_cdf")
    found = CALIBRATORS["percentile"]([values], GRIDS["affine"])
    np.testing.assert_allclose(found.scale, (high - low) / 15, rtol=2e-3)  # numpy's low end may be one value further in


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_omse_is_no_worse_than_any_step_of_a_fine_search(grid: Grid):
    values = torch.cat(batches(grid), 1)
    whole = CALIBRATORS["minmax"]([values], grid)

    def error(found: Range) -> Tensor:
        return (found.rounded(values, grid) - values).square().mean(1)

    found = error(CALIBRATORS["omse"]([values], grid))
    best = torch.stack([error(whole.shrunk(share)) for share in torch.linspace(0.1, 1.1, 500).tolist()]).amin(0)
    assert (found <= best * 1.01).all()
    assert (found < error(whole)).all()


def test_the_moving_average_weighs_a_new_batch_by_a_tenth():
    average, omse, grid = CALIBRATORS["moving-average-omse"], CALIBRATORS["omse"], GRIDS["signed"]
    first, second = batches(grid)[0], batches(grid)[1] * 10
    scales = [omse([values], grid).scale for values in (first, second)]
    torch.testing.assert_close(average([first, second], grid).scale, 0.9 * scales[0] + 0.1 * scales[1])
    assert torch.equal(average([first], grid).scale, scales[0])


def test_the_moving_average_of_affine_ranges_averages_their_ends():
    values = [torch.tensor([[-1.0, 2.0]]), torch.tensor([[-6.0, 1.5]])]
    grid = Grid(0, 3, affine=True)
    parts = [CALIBRATORS["omse"]([v], grid) for v in values]
    found = CALIBRATORS["moving-average-omse"](values, grid)
    ends_of = [-(part.zero * part.scale).item() for part in parts]
    average = 0.9 * ends_of[0] + 0.1 * ends_of[1]
    assert found.zero.item() == round(-average / found.scale.item())


@pytest.mark.parametrize("bits", range(2, 9))
def test_aciq_clips_where_the_published_table_does(bits: int):
    """The constants of the paper's code, for 2^M steps from end to end."""
    laplace = [2.83068299, 3.89722946, 5.02864014, 6.20476633, 7.41312622, 8.64561995, 9.89675982]
    gauss = [1.71063519, 2.15159277, 2.55913646, 2.93620062, 3.28691474, 3.6151146, 3.92403714]
    assert _laplace(2 ** (bits - 1)) == pytest.approx(laplace[bits - 2], abs=1e-4)
    assert _gauss(2 ** (bits - 1)) == pytest.approx(gauss[bits - 2], abs=1e-4)


@pytest.mark.parametrize("density", ["laplace", "gauss"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_aciq_has_nearly_the_least_error_on_its_densities(grid: Grid, density: str):
    rng = np.random.default_rng(0)
    drawn = rng.laplace(0, 1.0, 60_000) if density == "laplace" else rng.normal(0, 1.0, 60_000)
    values = torch.tensor(drawn, dtype=torch.float32).unsqueeze(0)
    values = values.relu() if grid == GRIDS["unsigned"] else values
    whole = CALIBRATORS["minmax"]([values], grid)

    def error(found: Range) -> float:
        return float((found.rounded(values, grid) - values).square().mean())

    best = min(error(whole.shrunk(share)) for share in np.linspace(0.1, 1.0, 200).tolist())
    assert error(CALIBRATORS["aciq"]([values], grid)) < 1.03 * best


def test_aciq_knows_laplace_from_gauss():
    rng, grid = np.random.default_rng(1), GRIDS["signed"]
    values = torch.tensor(np.stack([rng.laplace(0, 2.0, 50_000), rng.normal(0, 2.0, 50_000)]))
    expected = torch.tensor([2.0 * _laplace(7), 2.0 * _gauss(7)])
    torch.testing.assert_close(CALIBRATORS["aciq"]([values], grid).scale * 7, expected.double(), rtol=0.02, atol=0)


def divergence(counts: list[int], bins: int, levels: int) -> float:
    """KL(P ‖ Q) of clipping a histogram to its first bins, one bin after the other."""
    p = [float(count) for count in counts[:bins]]
    p[-1] += sum(counts[bins:])
    q = [0.0] * bins
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(bins):
        groups[i * levels // bins].append(i)
    for group in groups.values():
        filled = [i for i in group if p[i] > 0]
        for i in filled:
            q[i] = max(sum(counts[j] for j in group) / len(filled), 1e-4)
    total_p, total_q = sum(p), sum(q)
    return sum(a / total_p * math.log(a / total_p * total_q / b) for a, b in zip(p, q, strict=True) if a > 0)


@pytest.mark.parametrize("grid", [Grid(-128, 127), Grid(0, 255)], ids=["signed", "unsigned"])
def test_entropy_is_the_direct_computation(grid: Grid):
    values = torch.tensor(np.random.default_rng(2).laplace(0, 1.0, 4000), dtype=torch.float32)
    values = values if grid.low else values.relu()
    most, levels = float(values.abs().max()), grid.high + 1
    counts = [0] * 2048
    for value in values.abs().tolist():
        if value:
            counts[min(int(value / most * 2048), 2047)] += 1
    tried = range(2048, levels - 1, -16)
    best = min(tried, key=lambda bins: divergence(counts, bins, levels))
    found = CALIBRATORS["entropy"]([values.unsqueeze(0)], grid).scale.item() * grid.high
    assert 128 < best < 2048
    assert found == pytest.approx(most * best / 2048, rel=1e-5)


def test_entropy_clips_both_ends_of_an_affine_range_alike():
    drawn = np.random.default_rng(3).normal(2.0, 1.0, 20_000)
    values = torch.tensor([[*drawn, -30.0, 50.0]], dtype=torch.float32)
    grid = Grid(0, 255, affine=True)
    whole, found = CALIBRATORS["minmax"]([values], grid), CALIBRATORS["entropy"]([values], grid)
    assert found.scale < 0.5 * whole.scale and torch.equal(found.zero, whole.zero)
