"""``sfcore report``."""

from __future__ import annotations

from pathlib import Path

from sfcore.cli.commands.report import Report
from sfcore.cli.console import Answer, Progress
from sfcore.cli.runs import find_run
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.files import write_atomic
from sfcore.names import printable
from sfcore.present.report import gather, source_of, write


def run(arguments: Report) -> Answer:
    """Write the report of a run, or of two compared."""
    if arguments.frames < 1:
        raise InputError(f"the number of frames is {arguments.frames}: it must be at least 1")
    runs = [find_run(name) for name in (arguments.run, arguments.run2) if name]
    read = entry(runs[0].spec.detector).input
    dataset = source_of(arguments.images, read.formats) if arguments.images else None
    with Progress() as progress:
        evidence = gather(runs, dataset, most=arguments.frames, progress=progress, engines=arguments.engines or ())
    out = Path(arguments.out)
    write_atomic(out, write(evidence).encode())
    content = {
        "report": str(out),
        "runs": [str(one.path) for one in runs],
        "images": len(evidence.comparison.frames),
        "models": {name: scores.agreement.to_dict() for name, scores in evidence.comparison.scores.items()},
        "problems": list(evidence.comparison.problems.values()),
    }
    return Answer(content, f"{printable(out)}: {len(evidence.comparison.frames)} frames, {len(evidence.models)} models")
