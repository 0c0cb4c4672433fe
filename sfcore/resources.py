"""Where the app, its pages and the sample data lie: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path


def home() -> Path:
    """The folder that holds app/, pages/ and sample_data/."""
    package = Path(__file__).resolve().parent
    bundled = package / "_bundle"
    return bundled if bundled.is_dir() else package.parent


def sample_data() -> Path:
    """The folder of the sample data that ships with the project."""
    return home() / "sample_data"
