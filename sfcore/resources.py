"""Where the app, its pages and the sample data lie: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder that holds app/, pages/ and sample_data/."""
    package = Path(__file__).resolve().parent
    bundled = package / "_bundle"
    return bundled if bundled.is_dir() else package.parent


def sample_data() -> Path:
    """The folder of the sample data that ships with the project."""
    return home() / "sample_data"


def cache() -> Path:
    """Where results are kept that can be measured anew: $SFCORE_CACHE, or ``sfcore`` in the user's cache folder."""
    given, caches = os.environ.get("SFCORE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(caches) if caches else Path.home() / ".cache") / "sfcore"
