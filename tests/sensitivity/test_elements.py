"""Element maps against what moving each element does."""

from __future__ import annotations

import pytest
import torch

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.base import Head
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.sensitivity.elements import Grain, box_mask, cell_mask, element_map, foreground_area, foreground_share
from sfcore.sensitivity.noise import root_mean_square
from sfcore.tasks.lanes import distortion

GRID = Head("map", "semantics", ("x", "y"), ("cell",) * 2, "map", "grid", stride=8)
QUERY = Head("own", "semantics", ("b", "c"), ("image",) * 2, "own", "query")


@pytest.fixture
def one(outputs):
    return {name: value[:1] for name, value in outputs.items()}


@pytest.fixture(scope="module")
def ganet():
    detector = create("ganet-tiny")
    with torch.no_grad():
        return detector, detector(detector.preprocess(read_images(find_images([sample_data() / "scenes"], 1))))


def test_each_element_scores_its_own_shift(detector, one):
    """A lane that is drawn scores the pixels it is moved by, one that is not scores nothing."""
    step = 0.01 * root_mean_square(one["place"])
    found = element_map(detector, one, "place", 0.01)
    assert found.flatten().tolist() == pytest.approx([step, step, 0.0], rel=1e-4)


def test_level_can_refer_to_the_rms_of_an_image_set(detector, one):
    assert element_map(detector, one, "place", 0.5, rms=4.0)[0, 0] == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize("batch", [1, 4, 512])
def test_batches_and_progress(detector, one, batch):
    calls = []
    found = element_map(detector, one, "logit", 1.0, 0, lambda *call: calls.append(call), batch)
    assert torch.allclose(found, element_map(detector, one, "logit", 1.0))
    assert calls[-1] == (6, 6) and len(calls) == -(-6 // batch)


def test_equals_moving_each_element_in_a_loop(ganet):
    detector, outputs = ganet
    step = 0.1 * root_mean_square(outputs["offset"])
    found = element_map(detector, outputs, "offset", 0.1)
    places = found.flatten().argsort(descending=True)[[0, 1, 10, 30, 3000]].tolist()
    for place in places:
        scores = []
        for sign in (1, -1):
            moved = outputs["offset"].clone()
            moved.view(-1)[place] += sign * step
            changed = detector.decode(outputs | {"offset": moved})
            scores.append(float(distortion(detector.decode(outputs), changed).score))
        assert float(found.view(-1)[place]) == pytest.approx(sum(scores) / 2, abs=1e-5)


def test_a_step_down_can_cost_what_a_step_up_does_not(detector, one):
    """RMS of the logits is 4.32: the lane with logit 2 vanishes on a step down, so half of its cost counts."""
    found = element_map(detector, one, "logit", 1.0).flatten()
    points = len(detector.rows) * 10  # points stand 1 px apart, rows 10 px
    lost = points * 30 / 1640 * 640 / 180
    assert found.tolist() == pytest.approx([lost / 2, lost / 2, 0.0], rel=1e-4)


def test_the_grain_is_the_finest_within_the_limit():
    shape = torch.Size([2, 5, 6])
    assert [Grain.within(GRID, shape, most) for most in (60, 59, 30, 29, 9, 8, 1)] == [
        Grain(), Grain(1), Grain(1), Grain(2), Grain(2), Grain(3), Grain(6),
    ]  # fmt: skip
    assert Grain.within(QUERY, torch.Size([7, 2]), 14) == Grain()
    assert Grain.within(QUERY, torch.Size([7, 2]), 9) == Grain(queries=4)
    assert Grain.within(QUERY, torch.Size([7, 2]), 1) == Grain(queries=1)


def test_blocks_hold_all_channels_of_their_cells_and_every_cell_is_in_one():
    members = Grain(2).members(torch.Size([2, 3, 4]), torch.zeros(1))
    assert [sorted(set(block.tolist())) for block in members] == [
        [0, 1, 4, 5, 12, 13, 16, 17], [2, 3, 6, 7, 14, 15, 18, 19], [8, 9, 20, 21], [10, 11, 22, 23],
    ]  # fmt: skip


def test_of_too_many_queries_the_most_confident_are_measured(detector, one):
    """The detector draws the lanes whose logit is positive: the third lane's is not."""
    whole = element_map(detector, one, "place", 0.01)
    found = element_map(detector, one, "place", 0.01, grain=Grain(queries=1))
    measured = ~found.isnan()
    best = int(detector.confidence(one, "place")[0].flatten().argmax())
    assert measured.flatten().nonzero().flatten().tolist() == [best]
    assert found[measured].tolist() == pytest.approx(whole[measured].tolist())


def test_a_block_scores_what_moving_it_scores(ganet):
    detector, outputs = ganet
    found = element_map(detector, outputs, "error", 0.2, grain=Grain(16))
    assert found.shape == (1, 32, 48) and len(found.unique()) <= 6
    assert torch.equal(found[0, :16, :16], found[0, :1, :1].expand(16, 16))
    assert torch.equal(found, element_map(detector, outputs, "error", 0.2, grain=Grain(16), batch=5))
    signs = torch.randint(2, (2 * 32 * 48,), generator=torch.Generator().manual_seed(0)).view(2, 32, 48) * 2 - 1
    step = torch.zeros(2, 32, 48)
    step[:, 16:, 16:32] = 0.2 * root_mean_square(outputs["error"]) * signs[:, 16:, 16:32]
    moved = detector.decode({**outputs, "error": outputs["error"] + step})
    back = detector.decode({**outputs, "error": outputs["error"] - step})
    scores = [float(distortion(detector.decode(outputs), each).score) for each in (moved, back)]
    assert sum(scores) > 0 and float(found[0, 20, 20]) == pytest.approx(sum(scores) / 2, abs=1e-4)


def test_inputs_stay_and_one_image_is_asked_for(detector, outputs, one):
    before = one["place"].clone()
    element_map(detector, one, "place", 0.1)
    assert torch.equal(before, one["place"])
    with pytest.raises(InputError, match="6 images"):
        element_map(detector, outputs, "place", 0.1)
    with pytest.raises(InputError, match="'nose'"):
        element_map(detector, one, "nose", 0.1)


def test_foreground_share_by_hand():
    sensitivity = torch.tensor([[[4.0, 1.0], [2.0, 1.0]]])
    confidence = torch.tensor([[[0.9, 0.2], [0.6, 0.5]]])
    assert foreground_share(sensitivity, confidence) == pytest.approx(0.75)
    assert foreground_share(sensitivity * 0, confidence) == 0.0
    sensitivity[0, 0, 1] = float("nan")  # not measured
    assert foreground_share(sensitivity, confidence) == pytest.approx(6 / 7)


def test_foreground_area_is_the_share_of_a_head_that_is_sensitive_everywhere():
    confidence = torch.tensor([[[0.9, 0.2], [0.6, 0.5]]])
    shape = torch.Size([3, 2, 2])
    assert foreground_area(shape, confidence) == foreground_share(torch.ones(shape), confidence) == 0.5


def test_box_mask_takes_cells_by_their_centres():
    mask = box_mask(GRID, torch.Size([1, 2, 4, 6]), (8, 0, 28, 12))
    assert mask.shape == (1, 1, 4, 6)
    assert mask[0, 0].nonzero().tolist() == [[0, 1], [0, 2], [0, 3], [1, 1], [1, 2], [1, 3]]
    with pytest.raises(InputError, match="no grid"):
        box_mask(QUERY, torch.Size([1, 7, 2]), (0, 0, 1, 1))


def test_cell_mask_takes_all_channels():
    grid = cell_mask(GRID, torch.Size([2, 4, 6]), [(1, 5), (3, 0)])
    assert grid.shape == (1, 2, 4, 6)
    assert grid.nonzero().tolist() == [[0, 0, 1, 5], [0, 0, 3, 0], [0, 1, 1, 5], [0, 1, 3, 0]]
    query = cell_mask(QUERY, torch.Size([7, 2]), [(6,)])
    assert query.nonzero().tolist() == [[0, 6, 0], [0, 6, 1]]
    with pytest.raises(InputError, match=r"\(7,\)"):
        cell_mask(QUERY, torch.Size([7, 2]), [(7,)])
