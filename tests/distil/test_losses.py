"""The equations, against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sfcore.distil.losses import Margin, alignment, correlation, enhancement, margins
from sfcore.distil.statistics import VARIANCE, Statistics


def statistics(mean: list[list[float]], std: list[list[float]]) -> Statistics:
    """Of two samples and two channels, beside a norm that remembers means 0 and 1 and deviations 1 and 2."""
    return Statistics(torch.tensor(mean), torch.tensor(std), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))


@pytest.fixture
def found() -> list[Statistics]:
    """Two norms; what is 0.5, 1, 2 or 3 away from what they remember."""
    return [
        statistics([[0.5, 1.0], [-2.0, 1.0]], [[1.0, 2.0], [1.0, 5.0]]),
        statistics([[0.0, 0.0], [0.0, 1.0]], [[2.0, 2.0], [1.0, 2.0]]),
    ]


def test_statistics_are_of_each_sample_and_channel_over_its_positions() -> None:
    values = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    made = Statistics.of(values, torch.tensor([0.5]), torch.tensor([4.0]))
    assert made.mean.tolist() == [[3.0], [1.0]]
    assert made.std[:, 0].tolist() == pytest.approx([(20 / 3 + VARIANCE) ** 0.5, VARIANCE**0.5])
    assert made.norm_std.tolist() == pytest.approx([(4 + VARIANCE) ** 0.5])


def test_zeroq_squares_all_that_is_apart(found: list[Statistics]) -> None:
    assert alignment(found, [Margin(), Margin()]).tolist() == [[0.25, 4.0 + 9.0], [1.0 + 1.0, 0.0]]


def test_slack_alignment_squares_what_exceeds_the_margin(found: list[Statistics]) -> None:
    loss = alignment(found, [Margin(mean=0.5, std=2.0), Margin(mean=1.0)])
    assert loss.tolist() == [[0.0, 1.5**2 + 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(("epsilon", "mean", "std"), [(0.0, 0.0, 0.0), (0.5, 0.25, 0.0), (1.0, 2.0, 3.0)])
def test_a_margin_is_a_quantile_over_channels_and_samples_of_noise(
    found: list[Statistics], epsilon: float, mean: float, std: float
) -> None:
    assert margins(found[:1], epsilon) == [Margin(mean, std)]


@given(st.integers(0, 100), st.integers(0, 99))
def test_of_the_noise_itself_a_share_epsilon_of_the_channels_is_within_the_margin(percent: int, seed: int) -> None:
    epsilon = percent / 100
    torch.manual_seed(seed)
    noise = [Statistics(torch.randn(4, 8), torch.rand(4, 8), torch.zeros(8), torch.ones(8))]
    (margin,) = margins(noise, epsilon)
    within = (noise[0].mean.abs().double() <= margin.mean + 1e-9).double().mean().item()
    assert abs(within - epsilon) <= 1 / 16


def test_the_own_layer_of_a_sample_counts_twice() -> None:
    assert enhancement(3, [0, 1, 5]).tolist() == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (torch.eye(3), 0.0),
        (torch.tensor([[1.0, 0.0], [5.0, 0.0]]), 1.0),
        (torch.tensor([[1.0, 0.0], [-2.0, 0.0]]), 1.0),  # as alike as copies
        (torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), (0.5 + 0.5) * 2 / 6),
        (torch.ones(1, 4), 0.0),
    ],
)
def test_correlation_is_the_mean_square_of_the_cosines_of_pairs(samples: Tensor, expected: float) -> None:
    assert correlation(samples).item() == pytest.approx(expected, abs=1e-6)


def test_inhibition_turns_samples_away_from_each_other() -> None:
    samples = torch.tensor([[1.0, 0.1], [0.1, 1.0]], requires_grad=True)
    before = correlation(samples)
    (slope,) = torch.autograd.grad(before, samples)
    assert correlation(samples - 0.1 * slope) < before
