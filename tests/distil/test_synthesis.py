"""Images that batch norms take for those that they know, and how diverse they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sfcore.datasets.distilled import Distilled
from sfcore.detectors.base import Preprocessing
from sfcore.detectors.registry import create, entries
from sfcore.distil.diversity import diversity
from sfcore.distil.losses import Margin, alignment
from sfcore.distil.statistics import Observed
from sfcore.distil.synthesis import Synthesis, gaussian
from sfcore.errors import InputError
from tests.detectors.small import Posts, Small

WHAT = Distilled(3, steps=12)


def made(small: Small, what: Distilled = WHAT) -> torch.Tensor:
    synthesis = Synthesis(small, what)
    return torch.cat([synthesis.batch(numbers).images for numbers in synthesis.batches])


def mismatch(small: Small, pixels: torch.Tensor) -> float:
    found = Observed(small)(pixels.float())
    return alignment(found, [Margin()] * len(found)).mean().item()


@pytest.mark.parametrize("what", [WHAT, replace(WHAT, zeroq=True), replace(WHAT, spread=0.2)], ids=str)
def test_distilled_images_are_nearer_to_what_the_norms_remember_than_noise(small: Small, what: Distilled) -> None:
    noise = gaussian(small.preprocessing, 3, torch.Generator().manual_seed(1))
    batch = Synthesis(small, what).batch(range(3))
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (3, 3, 32, 64)
    assert batch.end < batch.start
    assert mismatch(small, batch.images) < 0.9 * mismatch(small, noise)


def test_a_greater_epsilon_lets_more_be(small: Small) -> None:
    losses = [Synthesis(small, replace(WHAT, epsilon=epsilon)).batch(range(3)).start for epsilon in (0.1, 0.5, 1.0)]
    assert losses == sorted(losses, reverse=True) and losses[0] > 2 * losses[-1]


def test_the_same_seed_makes_the_same_images_and_another_others(small: Small) -> None:
    first = made(small)
    assert torch.equal(first, made(small))
    assert not torch.equal(first, made(small, replace(WHAT, seed=1)))
    assert len({image.numpy().tobytes() for image in first}) == 3


def test_each_batch_has_as_many_images_as_norms_and_its_own_seed(small: Small) -> None:
    few, many = Synthesis(small, replace(WHAT, count=4)), Synthesis(small, replace(WHAT, count=9))
    assert [list(batch) for batch in many.batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert torch.equal(few.batch(range(4)).images, many.batch(many.batches[0]).images)


def test_progress_is_told_step_by_step(small: Small) -> None:
    told: list[tuple[int, int]] = []
    Synthesis(small, WHAT).batch(range(3), lambda done, steps: told.append((done, steps)))
    assert told == [(step, 12) for step in range(1, 13)]


def test_the_detector_stays_as_it_is(small: Small) -> None:
    before = {name: value.clone() for name, value in small.state_dict().items()}
    made(small)
    assert all(torch.equal(before[name], value) for name, value in small.state_dict().items())
    assert not any(module._forward_pre_hooks for module in small.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in small.parameters())


def test_the_norms_of_all_shipped_detectors_are_watched() -> None:
    counts = {
        each.name: len(Observed(create(each.name)).norms)
        for each in entries()
        if each.weights and each.input.kind == "image"
    }
    assert counts == {
        "bezierlanenet-tiny": 28, "centernet-tiny": 22, "condlanenet-tiny": 25, "ganet-tiny": 22, "laneatt-tiny": 18,
        "lstr-tiny": 18,
        "resa-tiny": 21, "scnn-tiny": 12,
    }  # fmt: skip


class NoNorms(Posts):
    """A detector with nothing to distil from."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocessing = Preprocessing((8, 8), (0.5,) * 3, (0.25,) * 3)
        self.layer = nn.Conv2d(3, 1, 3)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.layer(images).mean((1, 2, 3)).reshape(-1, 1, 1)
        return {"logit": found, "place": found, "idle": found.expand(-1, 1, 2)}


def test_a_detector_without_batch_norms_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"NoNorms has no batch norms .*: calibrate it on a folder of images"):
        Synthesis(NoNorms(), WHAT)


def test_weights_that_are_not_finite_are_refused(small: Small) -> None:
    small.norm.running_mean[0] = float("nan")
    with pytest.raises(InputError, match="check that all weights are finite"):
        Synthesis(small, WHAT).batch(range(3))


def test_norms_that_see_single_positions_have_no_deviation_and_are_left_out(small: Small) -> None:
    small.preprocessing = replace(small.preprocessing, size=(2, 2))  # one position behind the stem
    with pytest.raises(InputError, match="no batch norms"):
        Observed(small)


def test_diversity_is_in_deviations_of_the_norms(small: Small) -> None:
    observed = Observed(small)
    noise = gaussian(small.preprocessing, 8, torch.Generator().manual_seed(1)).byte()
    unlike, copies = diversity(observed, noise), diversity(observed, noise[:1].expand(8, -1, -1, -1))
    assert (copies.spread, copies.correlation) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert unlike.spread > 0 and abs(unlike.correlation) < 0.1
    means = torch.cat([each.mean.mean(0) for each in observed(noise.float())])
    offsets = [(each.mean.mean(0) - each.norm_mean).abs() / each.norm_std for each in observed(noise.float())]
    assert len(means) == sum(map(len, offsets))
    assert unlike.offset == pytest.approx(torch.cat(offsets).median().item(), rel=1e-4)
