"""``sfcore compare``."""

from __future__ import annotations

from sfcore.cli.commands.compare import Compare
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.runs import find_run
from sfcore.cli.tune import agreement_cells
from sfcore.devices import resolve_device
from sfcore.runs.results import Comparison, compare, cost_of


def run(arguments: Compare) -> Answer:
    """Compare a run's calibrated and tuned models with full precision."""
    folder, device = find_run(arguments.run), resolve_device(arguments.device)
    with Progress() as progress:
        result = compare(folder, arguments.images, arguments.limit, device, progress.phase_of("comparing"))
    scheme, cost = folder.spec.full_scheme(), cost_of(folder)
    content = result.to_dict() | {"scheme": cost.to_dict(scheme)}
    return Answer(content, f"{table(_rows('all', result))}\n{scheme.name}: {cost}")


def _rows(name: str, result: Comparison) -> list[dict[str, object]]:
    rows = []
    for model, found in (("calibrated", result.calibrated), ("tuned", result.tuned)):
        if found:
            cells = agreement_cells(found.to_dict())
            rows.append({"images": name, "count": result.images, "model": model, **cells})
    parts = result.sources.items() if len(result.sources) > 1 else ()
    return rows + [row for source, part in parts for row in _rows(source, part)]
