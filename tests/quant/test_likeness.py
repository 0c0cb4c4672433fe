"""How alike images are to a detector."""

from __future__ import annotations

import pytest
import torch

from sfcore.quant.likeness import likeness


def test_equal_images_are_wholly_alike():
    assert likeness({"a": torch.ones(5, 3), "b": torch.full((5, 2), -2.0)}) == pytest.approx(1.0)


def test_opposite_and_orthogonal_images():
    assert likeness({"a": torch.tensor([[1.0, 0.0], [0.0, 2.0]])}) == pytest.approx(0.0)
    assert likeness({"a": torch.tensor([[1.0, 0.0], [-3.0, 0.0]])}) == pytest.approx(-1.0)


def test_a_single_image_is_alike_to_itself():
    assert likeness({"a": torch.randn(1, 4)}) == 1.0
