"""The Heads page: noise on one head, one draw or several."""

from __future__ import annotations

import pytest

from app.perturbation import with_noise
from app.session import KEY, Studio
from sfcore.detectors.registry import entries
from sfcore.detectors.registry import entry as registered
from sfcore.sensitivity.noise import Noise
from tests.app.conftest import Visit, errors, metric

SCORE = "Lane Distortion Score"
SHIPPED = [entry.name for entry in entries() if entry.shipped]


def test_more_noise_means_more_distortion(visit: Visit) -> None:
    little, much = (float(metric(visit("heads", level=level), SCORE)) for level in ("0.1 %", "100 %"))
    assert much > 10 * little


def test_another_seed_is_another_draw(visit: Visit) -> None:
    app = visit("heads", level="20 %")
    first = metric(app, SCORE)
    app.number_input(key="seed").set_value(1).run()
    assert metric(app, SCORE) != first


def test_a_link_shows_the_same_picture(visit: Visit) -> None:
    first, second = (visit("heads", level="20 %", seed="3", head="offset", kind="Uniform") for _ in range(2))
    assert first.query_params["level"] == "20 %" and second.selectbox(key="kind").value == "Uniform"
    assert metric(first, SCORE) == metric(second, SCORE) != metric(visit("heads", level="20 %", seed="3"), SCORE)


def test_a_level_that_does_not_exist_falls_back_to_the_default(visit: Visit) -> None:
    app = visit("heads", level="7000 %")
    assert errors(app) == [] and metric(app, SCORE) == metric(visit("heads"), SCORE)


def test_several_draws_are_those_of_the_seeds_that_follow(visit: Visit) -> None:
    app = visit("heads", level="20 %", seed="5", draws="16 draws")
    view: Studio = app.session_state[KEY]
    head, noise = app.selectbox(key="head").value, Noise("gaussian", 0.2)
    each = [float(with_noise(view, head, noise, [seed]).distortion.score) for seed in range(5, 21)]
    assert metric(app, f"{SCORE}, mean of 16") == f"{sum(each) / 16:.2f}"


def test_replay_without_a_run_says_what_to_do(visit: Visit) -> None:
    app = visit("heads", kind="Quantization error")
    assert "start a run on the Tune page" in app.info[0].value and errors(app) == []


@pytest.mark.parametrize("detector", SHIPPED)
def test_every_detector_can_be_looked_into(visit: Visit, detector: str) -> None:
    app = visit("heads", detector=detector, level="50 %")
    score = registered(detector).sample.task.words.score
    assert errors(app) == [] and float(metric(app, score)) > 0
