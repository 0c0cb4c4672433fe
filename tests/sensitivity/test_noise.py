"""Noise of a level, of every kind, on what it is asked for."""

from __future__ import annotations

import math

import pytest
import torch

from sfcore.errors import InputError
from sfcore.sensitivity.noise import NOISE_KINDS, Noise, perturb, relative_noise, root_mean_square


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def outputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"map": 5 + 3 * torch.randn(8, 2, 24, 40), "other": torch.randn(8, 4)}


@pytest.fixture
def error() -> torch.Tensor:
    return torch.linspace(-1, 2, 5 * 2 * 24 * 40).view(5, 2, 24, 40)


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("level", [0.003, 0.4])
def test_level_is_the_relative_rms_error(outputs, error, kind, level):
    # Replay draws few images, whose own RMS differ: the level holds in expectation over many draws.
    draws = 40 if kind == "replay" else 1
    squares = []
    for seed in range(draws):
        noisy = perturb(outputs, "map", Noise(kind, level), generator(seed), error=error)
        squares.append(relative_noise(noisy["map"], outputs["map"]) ** 2)
    assert math.sqrt(sum(squares) / draws) == pytest.approx(level, rel=0.05)


def test_only_the_named_head_changes_and_inputs_stay(outputs):
    before = {name: value.clone() for name, value in outputs.items()}
    noisy = perturb(outputs, "map", Noise("gaussian", 0.1), generator())
    assert noisy["other"] is outputs["other"]
    assert not torch.equal(noisy["map"], outputs["map"])
    assert all(torch.equal(before[name], outputs[name]) for name in outputs)


def test_seed_decides(outputs):
    a, b, c = (perturb(outputs, "map", Noise(), generator(seed))["map"] for seed in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_mask_keeps_the_strength_of_what_it_selects(outputs):
    mask = torch.zeros(1, 1, 24, 40, dtype=torch.bool)
    mask[..., 5:9, 10:20] = True
    free = perturb(outputs, "map", Noise("uniform", 0.2), generator())["map"]
    held = perturb(outputs, "map", Noise("uniform", 0.2), generator(), mask=mask)["map"]
    selected = mask.expand_as(free)
    assert torch.equal(held[selected], free[selected])
    assert torch.equal(held[~selected], outputs["map"][~selected])


def test_uniform_noise_is_bounded(outputs):
    noisy = perturb(outputs, "map", Noise("uniform", 0.5), generator(), rms=2.0)["map"]
    assert (noisy - outputs["map"]).abs().max() <= math.sqrt(3) * 0.5 * 2.0 + 1e-5


def test_given_rms_sets_the_scale(outputs):
    one = perturb(outputs, "map", Noise("gaussian", 0.1), generator(), rms=1.0)["map"] - outputs["map"]
    assert root_mean_square(one) == pytest.approx(0.1, rel=0.03)


def test_replay_adds_a_recorded_error_with_either_sign(outputs, error):
    added = perturb(outputs, "map", Noise("replay", 0.1), generator(), error=error, rms=10.0)["map"] - outputs["map"]
    known = error / root_mean_square(error)
    signs = set()
    for image in added:
        fits = [(n, s) for n in range(5) for s in (1, -1) if torch.allclose(image, s * known[n], atol=1e-4)]
        assert len(fits) == 1
        signs.add(fits[0][1])
    assert signs == {1, -1}


def test_relative_noise_by_hand():
    reference = torch.tensor([3.0, 4.0])
    assert relative_noise(reference + torch.tensor([0.3, -0.4]), reference) == pytest.approx(0.1)
    assert relative_noise(torch.zeros(3), torch.zeros(3)) == 0.0
    assert relative_noise(torch.ones(3), torch.zeros(3)) == math.inf


def test_bad_input_says_what_is_allowed(outputs, error):
    with pytest.raises(InputError, match=r"salt.*gaussian, uniform, replay"):
        Noise("salt", 0.1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"-0\.1"):
        Noise("gaussian", -0.1)
    with pytest.raises(InputError, match=r"'maps'.*map, other"):
        perturb(outputs, "maps", Noise(), generator())
    for bad in (None, error[..., 1:], error * 0):
        with pytest.raises(InputError, match="recorded error"):
            perturb(outputs, "map", Noise("replay", 0.1), generator(), error=bad)
