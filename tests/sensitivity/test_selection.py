"""Which heads are selected."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfcore.errors import InputError
from sfcore.sensitivity.curves import Curve, Curves
from sfcore.sensitivity.selection import exact_scores, fast_scores, randomly, select


def test_select_takes_the_highest_and_breaks_ties_by_name():
    scores = {"c": 1.0, "b": 2.0, "a": 1.0, "d": 0.5}
    assert select(scores, 1) == ("b",)
    assert select(scores, 3) == ("b", "a", "c")
    assert select(dict(reversed(scores.items())), 3) == ("b", "a", "c")
    assert select(scores, 4) == ("b", "a", "c", "d")


def test_controls_take_the_lowest_or_any():
    scores = {"c": 1.0, "b": 2.0, "a": 1.0, "d": 0.5}
    assert select(scores, 3, least=True) == ("d", "a", "c")
    drawn = [randomly(tuple(scores), 2, torch.Generator().manual_seed(seed)) for seed in range(60)]
    assert drawn[0] == randomly(tuple(scores), 2, torch.Generator().manual_seed(0))
    assert all(len(set(heads)) == 2 for heads in drawn)
    assert {head for heads in drawn for head in heads} == set(scores)
    with pytest.raises(InputError, match="k = 5: choose 1 to 4"):
        randomly(tuple(scores), 5, torch.Generator())


@pytest.mark.parametrize("k", [0, -1, 3])
def test_select_refuses_an_impossible_k(k):
    with pytest.raises(InputError, match=f"k = {k}: choose 1 to 2.*left, right"):
        select({"left": 1.0, "right": 2.0}, k)


def test_fast_scores_read_each_curve_at_the_present_noise():
    def line(head, slope):
        noise = np.array([0.5, 1.0])
        return Curve(head, noise, slope * noise, noise, noise)

    curves = Curves({"weak": line("weak", 1.0), "strong": line("strong", 10.0)}, {})
    assert fast_scores(curves, {"weak": 0.8, "strong": 0.1}) == pytest.approx({"weak": 0.8, "strong": 1.0})
    assert select(fast_scores(curves, {"weak": 0.8, "strong": 0.01}), 1) == ("weak",)
    with pytest.raises(InputError, match=r"nose.*weak, strong"):
        fast_scores(curves, {"nose": 0.1})


@pytest.mark.parametrize("batch", [1, 4, 256])
def test_exact_scores_replace_one_head_at_a_time(detector, outputs, batch):
    """Both drawn lanes move by 3 px; the logits' change draws nothing else."""
    quantized = {**outputs, "place": outputs["place"] + 3.0, "logit": outputs["logit"] * 1.1}
    scores = exact_scores(detector, outputs, quantized, batch)
    assert scores == pytest.approx({"logit": 0.0, "place": 6.0, "idle": 0.0}, abs=1e-4)
    assert select(scores, 1) == ("place",)
