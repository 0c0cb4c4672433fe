"""Curves that ship, of detectors and frames that do; ``python -m sfcore.sensitivity.shipped [NAME ...]`` makes them.

They stand in for curves measured anew only where all that those are made of is the same, by content. A test asserts
that the code still measures them; where it no longer does, that command makes those that ship again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors.registry import create, entry
from sfcore.resources import sample_data
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves

FOLDER = sample_data() / "curves"  # one folder a detector
SETTINGS = CurveSettings(images=12, reruns=10)  # of a first visit to the Curves page


def shipped_curves(
    detector: str, weights: Path | None, frames: Sequence[Path], settings: CurveSettings
) -> Curves | None:
    """The curves that ship, if they were made with these weights and settings, of these frames in this order.

    Args:
        detector: its name in the registry.
        weights: the file of its weights; None has no curves.
        frames: all that the settings choose from.
    """
    folder = FOLDER / detector
    if weights is None or settings != SETTINGS or not folder.is_dir():
        return None  # and nothing is read
    found, made_of = Curves.load(folder), _made_of(detector, weights, frames)
    fits = found.meta["settings"] == asdict(settings) and made_of.items() <= found.meta.items()
    return found if fits else None


def measured(name: str) -> Curves:
    """The curves of a detector with the weights and the frames that ship, frame by frame as the app runs it."""
    detector, found = create(name), entry(name)
    assert found.shipped is not None  # or it would not have been made
    frames = find_images([sample_data() / found.input.samples], formats=found.input.formats)
    with torch.no_grad():
        each = [detector(detector.preprocess([detector.preprocessing.read(frame)])) for frame in frames]
    outputs = {head: torch.cat([outputs[head] for outputs in each]) for head in each[0]}
    return noise_score_curves(detector, outputs, SETTINGS, about=_made_of(name, found.shipped, frames))


def _made_of(detector: str, weights: Path, frames: Sequence[Path]) -> dict[str, Any]:
    return {"detector": detector, "weights_hash": content_hash([weights]), "image_hash": content_hash(frames)}


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.name for path in FOLDER.iterdir()):
        measured(name).save(FOLDER / name)
        (FOLDER / name / "curves.csv").unlink()  # a table for people, who have the page
