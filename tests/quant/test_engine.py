"""The reconstruction engine on a small detector: it mends, keeps the best, selects, and resumes to the bit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.inputs.augment import augment
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods import methods
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.sensitivity.curves import CurveSettings, noise_score_curves

NETWISE = [name for name, make in methods().items() if make().iterations and make().granularity == "net"]
BRISK = {"iterations": 60, "learning_rate": 2e-3, "check_every": 10, "reselect_every": 20}


def tuner(detector: Detector, pixels: Tensor, recipe: Recipe, seed: int = 0) -> Tuner:
    images = list(detector.preprocessing.normalize(pixels).split(8))
    model = quantize(detector, Scheme.parse("W3A3"), images)
    curves = noise_score_curves(detector, run(detector, pixels), CurveSettings(images=8, levels=3, reruns=2))
    return Tuner(detector, model, pixels[:16], pixels[16:], recipe, curves, seed)


def stepped(made: Tuner, most: int | None = None) -> list[dict[str, Any]]:
    """The events of the next steps, or of all that are left."""
    events: list[dict[str, Any]] = []
    while not made.done and len(events) != most:
        event = made.step()
        if "loss" in event:  # else it recorded activations
            events.append(event)
    return events


@pytest.mark.parametrize("objective", ["plain", "focus", "lane", "lane-kl"])
def test_tuning_mends_a_calibrated_model(small: Detector, pixels: Tensor, objective: str):
    made = tuner(small, pixels, Recipe(objective=objective, **BRISK))
    losses = [event["loss"] for event in stepped(made)]
    assert made.done
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert made.best < 0.8 * made.calibrated


def test_tuned_is_never_worse_than_calibrated(small: Detector, pixels: Tensor):
    made = tuner(small, pixels, Recipe(**{**BRISK, "learning_rate": 3.0}))  # destroys the network
    event = stepped(made)[-1]
    assert event["held_back"] > event["calibrated"]
    made.keep_best()
    assert made._held_back_distortion() <= made.calibrated


@pytest.mark.parametrize("name", NETWISE)
def test_a_resumed_tuning_ends_in_the_same_bits(small: Detector, pixels: Tensor, name: str):
    config = methods()[name]
    recipe = replace(config(), **(BRISK | {"iterations": 30, "rendered": 0}))
    if recipe.objective == "global-positive":
        recipe = replace(recipe, objective="plain")  # there are no heat maps here
    whole = tuner(small, pixels, recipe)
    events = stepped(whole)

    first = tuner(small, pixels, recipe)
    stepped(first, 13)
    saved = {key: value.clone() for key, value in first.state().items()}
    second = tuner(small, pixels, recipe)
    second.load_state(saved)
    again = stepped(second)

    assert again == events[13:]
    ended, expected = second.state(), whole.state()
    assert ended.keys() == expected.keys()
    assert all(torch.equal(ended[key], expected[key]) for key in expected)


def test_selection_keeps_k_heads_and_is_renewed(small: Detector, pixels: Tensor):
    made = tuner(small, pixels, Recipe(selection="exact", **BRISK))
    events = stepped(made, 21)
    assert all(len(event["selected"]) == 1 for event in events)  # one of two heads
    assert made.iteration == 21


def test_fast_and_exact_selection_agree_where_one_head_alone_is_wrong(small: Detector, pixels: Tensor):
    made = [tuner(small, pixels, Recipe(selection=s, objective="focus", **BRISK)) for s in ("fast", "exact")]
    for each in made:
        each.quantized.get_submodule("place").bias.data += 1.0
        assert stepped(each, 1)[0]["selected"] == ["column"]


def test_controls_select_the_least_sensitive_any_or_the_named_heads(small: Detector, pixels: Tensor):
    def selected(seed: int = 0, **options: Any) -> tuple[str, ...]:
        made = tuner(small, pixels, Recipe(**BRISK, **options), seed)
        made.quantized.get_submodule("place").bias.data += 1.0
        return tuple(stepped(made, 1)[0]["selected"])

    assert selected(selection="fast") == ("column",) and selected(selection="bottom") == ("logits",)
    assert selected(selection="fixed", heads=("logits",)) == ("logits",)
    assert {selected(seed, selection="random") for seed in range(6)} == {("logits",), ("column",)}


def test_heads_that_do_not_exist_are_refused(small: Detector, pixels: Tensor):
    with pytest.raises(InputError, match="no head 'curve'; choose among logits, column"):
        tuner(small, pixels, Recipe(selection="fixed", heads=("curve",), **BRISK))


def test_offsets_are_learned_where_the_scheme_has_them(small: Detector, pixels: Tensor):
    images = [small.preprocessing.normalize(pixels)]
    model = quantize(small, Scheme.parse("W4A4-affine"), images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = replace(methods()["lsq-plus"](), iterations=3)
    stepped(Tuner(small, model, pixels[:16], pixels[16:], recipe))
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.rsplit(".", 1)[-1] for name in moved} == {"weight", "bias", "scale", "zero"}


def test_another_seed_takes_other_batches(small: Detector, pixels: Tensor):
    recipe = Recipe(**BRISK)
    assert stepped(tuner(small, pixels, recipe, 0), 1) != stepped(tuner(small, pixels, recipe, 1), 1)


def test_k_beyond_the_heads_is_refused(small: Detector, pixels: Tensor):
    with pytest.raises(InputError, match="k = 3: the detector has 2 heads"):
        tuner(small, pixels, Recipe(k=3, **BRISK))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("lam", 0.0, "λ = 0.0"), ("lam", float("nan"), "λ = nan"), ("k", 0, "k = 0"), ("iterations", -1, "iterations"),
     ("batch", 0, "batch = 0"), ("selection", "best", "'best'"), ("learn", ("scales",), "cannot be learned"),
     ("learning_rate", -1.0, "learning_rate"), ("learning_rate", "fast", "'fast': it must be a number"),
     ("lam", True, "λ = True"), ("iterations", 2.5, "2.5: it must be a whole number"),
     ("k", "all", "'all': it must be a whole number or null"),
     ("relative", 1, "1: it must be true or false"), ("objective", 3, "a name"), ("heads", [1], "names with commas")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(field: str, value: object, said: str):
    with pytest.raises(InputError, match=said):
        Recipe(**{field: value})


def test_settings_are_taken_as_files_and_commands_give_them():
    made = Recipe(lam=3, learn="weights,biases", selection="fixed", heads=["offset"], step_rate=None)
    assert (made.lam, made.learn, made.heads) == (3, ("weights", "biases"), ("offset",))


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
    quantized["logits"] = torch.tensor([[[math.log(3)], [100.0]]])  # confidence 0.75
    divergence = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    lane_kl = OBJECTIVES["lane-kl"](small, quantized, reference, heads, 3.0)
    assert lane_kl.confidence["logits"].item() == pytest.approx(3 * divergence / 1.5, rel=1e-5)
    levels = {"logits": math.log(3) ** 2 / 100**2, "column": (2**2 + 1**2) / (10**2 + 20**2)}  # squared
    for head, level in levels.items():
        assert lane_kl.semantics[head].item() == pytest.approx(100 * level / 2, rel=1e-4)
    assert lane_kl.semantics["road"] == lane.semantics["road"]


def test_the_divergence_calls_a_lost_lane_back_where_a_squared_error_no_longer_does(small: Detector):
    from sfcore.quant.objectives import OBJECTIVES

    reference = {"logits": torch.full((1, 2, 1), 5.0), "column": torch.zeros(1, 2, 1)}

    def pull(objective: str) -> float:
        logits = torch.full((1, 2, 1), -9.0, requires_grad=True)
        quantized = {"logits": logits, "column": torch.zeros(1, 2, 1)}
        OBJECTIVES[objective](small, quantized, reference, ("logits",), 1.0).confidence["logits"].backward()
        return -logits.grad[0, 0, 0].item()

    assert pull("lane") < 1e-3
    assert pull("lane-kl") == pytest.approx(0.5, abs=0.01)  # its error, 1 - 0, of two lanes


def test_augmentation_is_seeded_and_leaves_its_input_alone():
    images = torch.rand(4, 3, 16, 32)
    before = images.clone()

    def once(seed: int, strength: float = 1.0) -> Tensor:
        return augment(images, torch.Generator().manual_seed(seed), strength)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    assert torch.equal(once(1, 0.0), images)
    assert torch.equal(images, before)
