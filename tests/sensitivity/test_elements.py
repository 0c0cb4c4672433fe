from __future__ import annotations

import pytest
import torch

from sfcore.detectors.base import Head
from sfcore.errors import InputError
from sfcore.sensitivity.elements import box_mask, cell_mask, element_map, foreground_share
from sfcore.sensitivity.noise import root_mean_square

GRID = Head("map", "semantics", ("x", "y"), ("cell",) * 2, "map", "grid", stride=8)
QUERY = Head("own", "semantics", ("b", "c"), ("image",) * 2, "own", "query")


@pytest.fixture
def one(outputs):
    return {name: value[:1] for name, value in outputs.items()}


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


def test_a_step_down_can_cost_what_a_step_up_does_not(detector, one):
    """RMS of the logits is 4.32: the lane with logit 2 vanishes on a step down, so half of its cost counts."""
    found = element_map(detector, one, "logit", 1.0).flatten()
    points = len(detector.rows) * 10  # points stand 1 px apart, rows 10 px
    lost = points * 30 / 1640 * 640 / 180
    assert found.tolist() == pytest.approx([lost / 2, lost / 2, 0.0], rel=1e-4)


def test_random_signs_are_seeded_and_need_half_the_decodes(detector, one):
    def run(seed):
        return element_map(detector, one, "logit", 1.0, seed, signs="random")

    maps = [run(seed) for seed in range(8)]
    assert torch.equal(run(3), maps[3])
    both = element_map(detector, one, "logit", 1.0)
    assert sorted({float(m[0, 0]) for m in maps}) == pytest.approx([0.0, 2 * float(both[0, 0])])


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
