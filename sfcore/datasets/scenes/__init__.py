"""Rendered road scenes with exact lane labels: any number, deterministic by seed."""

from sfcore.datasets.scenes.plan import PROBABILITIES, SCENARIOS
from sfcore.datasets.scenes.render import VERSION, Scene, render
from sfcore.datasets.scenes.samples import sample_scenes
from sfcore.datasets.scenes.sightings import NAMES

__all__ = ["NAMES", "PROBABILITIES", "SCENARIOS", "VERSION", "Scene", "render", "sample_scenes"]
