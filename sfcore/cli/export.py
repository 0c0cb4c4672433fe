"""``sfcore export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfcore.cli.commands.export import Export
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.cli.runs import find_run
from sfcore.deployment.subjects import USUAL, Choice, of_detector, of_run
from sfcore.detectors.registry import DETECTORS
from sfcore.errors import InputError
from sfcore.export.base import Subject, parse_batch
from sfcore.export.files import MANIFEST, export
from sfcore.names import printable
from sfcore.quant import Scheme


def run(arguments: Export) -> Answer:
    """Export a run's model, or a detector."""
    choice = Choice(arguments.opset, parse_batch(arguments.batch))
    own = arguments.weights, arguments.weights_key
    subject = subject_of(arguments.run, arguments.bits, arguments.images or (), own, choice)
    with Progress() as progress:
        made = export(subject, arguments.format, Path(arguments.out), progress.phase_of("exporting"))
    for each in made.notes:
        note(each)
    content: dict[str, Any] = {"files": list(made.files), "scheme": subject.about.get("scheme"), "notes": made.notes}
    where = f"{printable(arguments.out)} holds these, and {MANIFEST} what they are"
    return Answer(content, f"{table(list(made.files))}\n{where}")


def subject_of(
    name: str, bits: str | None, images: Sequence[str], own: tuple[str | None, str | None], choice: Choice = USUAL
) -> Subject:
    """The run that is called so, or the detector, calibrated where bits and images are given.

    Args:
        own: weights of a detector, and which of them.
    """
    try:
        folder = find_run(name)
    except InputError as error:
        if name not in DETECTORS.names():
            raise InputError(f"there is neither a run nor a detector {name!r} ({error})") from error
        with Progress() as progress:
            return of_detector(name, *own, Scheme.parse(bits) if bits else None, images, choice, progress)
    if bits or images or any(own):
        raise InputError(f"{name} is a run, which has its own bits, images and weights: give none")
    return of_run(folder, choice)
