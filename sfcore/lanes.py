"""Moved to :mod:`sfcore.tasks.lanes`; kept for detectors that were written before."""

from sfcore.tasks.lanes import *  # noqa: F403
