"""Where a network and its distilled images come together, and where they are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfcore.datasets.distilled import Distilled
from sfcore.datasets.images import content_hash, find_images, image_set, image_size, read_image
from sfcore.datasets.source import is_there
from sfcore.distil import images
from sfcore.distil.images import distil, distilled_set, is_distilled, sign_of, with_distilled
from sfcore.distil.synthesis import Synthesis
from sfcore.errors import InputError
from sfcore.inputs.images import Preprocessing
from tests.detectors.small import Small

SOURCE = "distilled:6,steps=2"


def none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a synthesis is an error."""
    monkeypatch.setattr(images, "Synthesis", None)


def test_frames_of_the_source_are_made_for_the_detector_and_others_are_left(small: Small, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    frames = [tmp_path / "a.png", *find_images([f"{SOURCE}[1:3]"])]
    found = with_distilled(small, frames, lambda *of: told.append(of))
    assert found[0] == frames[0]
    assert [str(frame) for frame in found[1:]] == [f"{SOURCE},of={sign_of(small)}/00000{number}" for number in (1, 2)]
    assert told[0] == ("distilling images", 1, 4) and told[-1] == ("distilling images", 4, 4)  # two batches of 2 steps
    assert all(is_there(frame) and image_size(frame) == (32, 64) for frame in found[1:])


def test_what_was_made_is_what_the_network_reads(small: Small) -> None:
    what = replace(Distilled.parse(SOURCE), of=sign_of(small))
    synthesis = Synthesis(small, what)
    expected = torch.cat([synthesis.batch(numbers).images for numbers in synthesis.batches])
    frames = with_distilled(small, find_images([SOURCE]))
    assert torch.equal(small.preprocessing.stack([read_image(frame) for frame in frames]), expected)


def test_they_are_made_once(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hash(with_distilled(small, find_images([SOURCE])))
    none_is_made(monkeypatch)
    again = distilled_set(small, image_set([SOURCE, f"{SOURCE},of={sign_of(small)}"]))
    assert content_hash(again.files[:6]) == first and again.source_index == (0,) * 6 + (1,) * 6


def test_the_manifest_says_how_they_were_made(small: Small) -> None:
    made = distil(small, Distilled.parse(SOURCE))
    content = json.loads(made.manifest.read_text())
    assert (content["source"], content["detector"], content["of"]) == (str(made), "Small", sign_of(small))
    assert [(each["first"], each["images"]) for each in content["batches"]] == [(0, 4), (4, 2)]
    assert set(content["diversity"]) == {"spread", "offset", "correlation"}


def test_what_was_broken_off_is_not_used_but_gone_on_with(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = content_hash(with_distilled(small, find_images([SOURCE])))
    made = distil(small, Distilled.parse(SOURCE))
    made.manifest.unlink()
    made.file(5).unlink()
    kept = made.folder / "batches.jsonl"
    kept.write_text(kept.read_text().splitlines()[0] + '\n{"first": 4, "ima')  # torn within the second batch
    with pytest.raises(InputError, match="no longer in the cache"):
        read_image(made.frames[0])
    numbers: list[int] = []
    batch = Synthesis.batch
    monkeypatch.setattr(Synthesis, "batch", lambda self, of, told: (numbers.extend(of), batch(self, of, told))[1])
    assert content_hash(with_distilled(small, find_images([SOURCE]))) == whole
    assert numbers == [4, 5]
    made.file(0).unlink()  # by somebody who tidies up
    assert content_hash(with_distilled(small, find_images([SOURCE]))) == whole
    assert numbers == [4, 5, 0, 1, 2, 3]


def test_other_weights_have_other_images(small: Small) -> None:
    before = distil(small, Distilled.parse(SOURCE))
    with torch.no_grad():
        small.norm.running_mean += 0.5
    after = distil(small, Distilled.parse(SOURCE))
    assert before.of != after.of and content_hash(before.frames) != content_hash(after.frames)
    assert with_distilled(small, before.frames) == before.frames  # those of another network, as they are asked for
    before.manifest.unlink()
    with pytest.raises(InputError, match=f"was distilled from other weights.*leave ',of={before.of}' out"):
        with_distilled(small, before.frames)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 95), st.sampled_from(["rgb", "bgr"]))
def test_a_picture_is_read_as_what_it_was_made_of(height: int, width: int, percent: int, order: str) -> None:
    spec = Preprocessing((height, width), (0.5,) * 3, (0.25,) * 3, order, percent / 100)  # type: ignore[arg-type]
    stacked = spec.example(1, torch.Generator().manual_seed(height))
    picture = spec.picture(stacked[0])
    assert picture.dtype == np.uint8 and torch.equal(spec.stack([picture]), stacked)


def test_frames_are_told_from_those_of_other_sources() -> None:
    assert is_distilled(Path("distilled:4/000000"))
    assert not is_distilled(Path("scenes:4/000000")) and not is_distilled(Path("frames/000000.png"))
