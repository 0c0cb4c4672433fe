"""The reconstruction engine on a small detector: it mends, keeps the best, selects, and resumes to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.augment import augment
from sfcore.quant.engine import Tuner, run
from sfcore.quant.methods import methods
from sfcore.quant.recipe import Recipe
from sfcore.sensitivity.curves import CurveSettings, noise_score_curves

BRISK = {"iterations": 60, "learning_rate": 2e-3, "check_every": 10, "reselect_every": 20}


def tuner(detector: Detector, pixels: Tensor, recipe: Recipe, seed: int = 0) -> Tuner:
    images = list(detector.preprocessing.normalize(pixels).split(8))
    model = quantize(detector, Scheme.parse("W3A3"), images)
    curves = noise_score_curves(detector, run(detector, pixels), CurveSettings(images=8, levels=3, reruns=2))
    return Tuner(detector, model, pixels[:16], pixels[16:], recipe, curves, seed)


@pytest.mark.parametrize("objective", ["plain", "focus", "lane"])
def test_tuning_mends_a_calibrated_model(small: Detector, pixels: Tensor, objective: str):
    made = tuner(small, pixels, Recipe(objective=objective, **BRISK))
    losses = [made.step()["loss"] for _ in range(60)]
    assert made.done
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert made.best < 0.8 * made.calibrated


def test_tuned_is_never_worse_than_calibrated(small: Detector, pixels: Tensor):
    made = tuner(small, pixels, Recipe(**{**BRISK, "learning_rate": 3.0}))  # destroys the network
    while not made.done:
        event = made.step()
    assert event["held_back"] > event["calibrated"]
    made.keep_best()
    assert made._held_back_distortion() <= made.calibrated


@pytest.mark.parametrize("name", sorted(name for name, config in methods().items() if config().iterations))
def test_a_resumed_tuning_ends_in_the_same_bits(small: Detector, pixels: Tensor, name: str):
    config = methods()[name]
    recipe = replace(config(), **(BRISK | {"iterations": 30, "rendered": 0}))
    whole = tuner(small, pixels, recipe)
    events = [whole.step() for _ in range(30)]

    first = tuner(small, pixels, recipe)
    for _ in range(13):
        first.step()
    saved = {key: value.clone() for key, value in first.state().items()}
    second = tuner(small, pixels, recipe)
    second.load_state(saved)
    again = [second.step() for _ in range(17)]

    assert again == events[13:]
    ended, expected = second.state(), whole.state()
    assert ended.keys() == expected.keys()
    assert all(torch.equal(ended[key], expected[key]) for key in expected)


def test_selection_keeps_k_heads_and_is_renewed(small: Detector, pixels: Tensor):
    made = tuner(small, pixels, Recipe(selection="exact", **BRISK))
    events = [made.step() for _ in range(21)]
    assert all(len(event["selected"]) == 1 for event in events)  # one of two heads
    assert made.iteration == 21


def test_fast_and_exact_selection_agree_where_one_head_alone_is_wrong(small: Detector, pixels: Tensor):
    made = [tuner(small, pixels, Recipe(selection=s, objective="focus", **BRISK)) for s in ("fast", "exact")]
    for each in made:
        each.quantized.get_submodule("place").bias.data += 1.0
        assert each.step()["selected"] == ["column"]


def test_another_seed_takes_other_batches(small: Detector, pixels: Tensor):
    recipe = Recipe(**BRISK)
    assert tuner(small, pixels, recipe, 0).step() != tuner(small, pixels, recipe, 1).step()


def test_k_beyond_the_heads_is_refused(small: Detector, pixels: Tensor):
    with pytest.raises(InputError, match="k = 3: the detector has 2 heads"):
        tuner(small, pixels, Recipe(k=3, **BRISK))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("lam", 0.0, "λ = 0.0"), ("lam", float("nan"), "λ = nan"), ("k", 0, "k = 0"), ("iterations", -1, "iterations"),
     ("batch", 0, "batch = 0"), ("selection", "best", "'best'"), ("learn", ("scales",), "cannot be learned"),
     ("learning_rate", -1.0, "learning_rate")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field: str, value: object, said: str):
    with pytest.raises(InputError, match=said):
        Recipe(**{field: value})


def test_objectives_by_hand(small: Detector):
    from sfcore.quant.objectives import OBJECTIVES

    reference = {"logits": torch.tensor([[[0.0], [100.0]]]), "column": torch.tensor([[[10.0], [20.0]]])}
    quantized = {"logits": torch.tensor([[[100.0], [100.0]]]), "column": torch.tensor([[[12.0], [21.0]]])}
    heads = ("logits", "column")  # confidences 0.5 and 1; errors 2 and 1; the first confidence is off by 0.5
    plain = OBJECTIVES["plain"](small, quantized, reference, heads, 3.0)
    assert plain.total.item() == pytest.approx((4 + 1) + 0.25 + 0.25)
    focus = OBJECTIVES["focus"](small, quantized, reference, heads, 3.0)
    assert focus.total.item() == pytest.approx((0.5**2 * 4 + 1) + 3 * 0.25 + 3 * 0.25)
    lane = OBJECTIVES["lane"](small, quantized, reference, heads, 3.0)  # 20 px and 10 px, beyond the Huber knee of 4
    huber = [4 * (20 - 2), 4 * (10 - 2)]
    assert lane.total.item() == pytest.approx((0.5 * huber[0] + huber[1]) / 1.5 + 3 * 0.25 / 2)


def test_augmentation_is_seeded_and_leaves_its_input_alone():
    images = torch.rand(4, 3, 16, 32)
    before = images.clone()

    def once(seed: int, strength: float = 1.0) -> Tensor:
        return augment(images, torch.Generator().manual_seed(seed), strength)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    assert torch.equal(once(1, 0.0), images)
    assert torch.equal(images, before)
