"""Who shares the work of a command, as its options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.cli.commands.shared import SharedCommand
from sfcore.cli.console import note
from sfcore.runs.shards import Crew


def crew_of(arguments: SharedCommand) -> Crew:
    """Those who share it, and tell on stderr what goes wrong."""
    return Crew(arguments.launcher, arguments.address, arguments.cores, arguments.workers, arguments.device, note)


def about_model(detector: str, weights: str | None, weights_key: str | None) -> dict[str, Any]:
    """How a worker makes a detector: see :func:`sfcore.runs.detection_shards.model_of`. Workers begin in folders of
    their own, so a file gets its whole path; what is no file stays as it is."""
    whole = str(Path(weights).resolve()) if weights and Path(weights).exists() else weights
    return {"detector": detector, "weights": whole, "weights_key": weights_key}
