"""Two frames of each kind that detectors read, for the tests that run over all of them."""

from __future__ import annotations

from sfcore.datasets.lidar import sweep
from sfcore.datasets.scenes import render

IMAGES = [render(seed).image for seed in (0, 1)]
FRAMES = {"image": IMAGES, "points": [sweep(seed, beams).points for seed, beams in ((0, 64), (1, 32))]}
