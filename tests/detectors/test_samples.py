"""Samples of detectors: what tells their heads and tasks takes no memory, and leaves networks as they are."""

from __future__ import annotations

import pytest

from sfcore.detectors.base import Detector
from sfcore.detectors.ganet import ganet_tiny
from sfcore.detectors.registry import Entry, create, entries, entry


@pytest.mark.parametrize("name", [each.name for each in entries()])
def test_a_sample_has_shapes_without_numbers(name: str) -> None:
    sample = entry(name).sample
    assert all(value.is_meta for value in (*sample.parameters(), *sample.buffers()))


def test_what_is_built_after_a_sample_has_numbers() -> None:
    sample, found = entry("ganet-tiny").sample, create("ganet-tiny")
    assert not any(value.is_meta for value in (*found.parameters(), *found.buffers()))
    assert [head.name for head in sample.heads] == [head.name for head in found.heads]


def test_a_detector_that_looks_at_its_numbers_while_it_is_built_has_a_sample_too() -> None:
    def build() -> Detector:
        detector = ganet_tiny()
        assert next(detector.parameters()).sum().item() or True
        return detector

    sample = Entry("looks", build, None, "").sample
    assert sample.task_name == "lanes" and not next(sample.parameters()).is_meta
