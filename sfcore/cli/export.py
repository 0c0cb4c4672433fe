"""``sfcore export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.cli.commands.export import Export
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.cli.runs import find_run
from sfcore.deployment.subjects import Choice, of_detector, of_run
from sfcore.detectors.registry import DETECTORS
from sfcore.errors import InputError
from sfcore.export.base import Subject, parse_batch
from sfcore.export.files import MANIFEST, export
from sfcore.names import printable
from sfcore.quant import Scheme


def run(arguments: Export) -> Answer:
    """Export a run's model, or a detector."""
    subject = subject_of(arguments)
    with Progress() as progress:
        made = export(subject, arguments.format, Path(arguments.out), progress.phase_of("exporting"))
    for each in made.notes:
        note(each)
    content: dict[str, Any] = {"files": list(made.files), "scheme": subject.about.get("scheme"), "notes": made.notes}
    where = f"{printable(arguments.out)} holds these, and {MANIFEST} what they are"
    return Answer(content, f"{table(list(made.files))}\n{where}")


def subject_of(arguments: Export) -> Subject:
    """The run, or the detector, that is named; a run where both are called so."""
    choice = Choice(arguments.opset, parse_batch(arguments.batch))
    calibrated = arguments.bits is not None or bool(arguments.images)
    try:
        folder = find_run(arguments.run)
    except InputError as error:
        if arguments.run not in DETECTORS.names():
            raise InputError(f"there is neither a run nor a detector {arguments.run!r} ({error})") from error
        scheme = Scheme.parse(arguments.bits) if arguments.bits else None
        own = arguments.weights, arguments.weights_key
        return of_detector(arguments.run, *own, scheme, arguments.images or (), choice)
    if calibrated or arguments.weights:
        raise InputError(f"{arguments.run} is a run, which has its own bits and weights: leave --bits, --images and "
                         "--weights out")  # fmt: skip
    return of_run(folder, choice)
