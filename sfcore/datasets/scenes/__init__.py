"""Rendered road scenes with exact lane labels: any number, deterministic by seed."""

from sfcore.datasets.scenes.plan import PROBABILITIES, SCENARIOS
from sfcore.datasets.scenes.render import VERSION, Scene, render
from sfcore.datasets.scenes.samples import sample_scenes

__all__ = ["PROBABILITIES", "SCENARIOS", "VERSION", "Scene", "render", "sample_scenes"]
