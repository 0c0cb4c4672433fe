"""Sweeps of laser scanners: reading their files, and rendering any number of them with exact boxes."""

from sfcore.datasets.lidar.bodies import NAMES
from sfcore.datasets.lidar.render import SCANNERS, VERSION, Sweep, sweep

__all__ = ["NAMES", "SCANNERS", "VERSION", "Sweep", "sweep"]
