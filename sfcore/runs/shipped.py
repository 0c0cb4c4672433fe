"""The run that ships: an example that is there on a first visit, to be looked at and never changed.

The scenes that it was calibrated and tuned on were rendered for it: they are on no machine, and no sample is one.
"""

from __future__ import annotations

from sfcore.resources import sample_data
from sfcore.runs import RunFolder

_FOLDER = sample_data() / "tour"
COMMAND = "python -m sfcore.runs.sample"  # makes it


def shipped() -> RunFolder:
    """The run that ships."""
    return RunFolder.open(_FOLDER)


def ships(run: RunFolder) -> bool:
    """Whether this is the run that ships: whatever would change it, or needs its images, is not for it."""
    return run.path == _FOLDER
