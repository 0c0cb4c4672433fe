"""``sfcore compare``."""

from __future__ import annotations

from typing import Any

from sfcore.cli.commands.compare import Compare
from sfcore.cli.console import Answer, Progress, table
from sfcore.cli.runs import find_run
from sfcore.cli.tune import agreement_cells
from sfcore.devices import resolve_device
from sfcore.runs.results import Comparison, ModelName, compare, cost_of
from sfcore.tasks.base import Agreement


def run(arguments: Compare) -> Answer:
    """Compare a run's calibrated and tuned models with full precision."""
    folder, device = find_run(arguments.run), resolve_device(arguments.device)
    with Progress() as progress:
        result = compare(folder, arguments.images, arguments.limit, device, progress.phase_of("comparing"))
    scheme, cost = folder.spec.full_scheme(), cost_of(folder)
    content = result.to_dict() | {"scheme": cost.to_dict(scheme)}
    return Answer(content, f"{table(_filled(_rows('all', result)))}\n{scheme.name}: {cost}")


def _rows(name: str, result: Comparison) -> list[dict[str, Any]]:
    """A row for each model, first full precision where labels say something of it."""
    compared: dict[ModelName, Agreement | None] = {"calibrated": result.calibrated, "tuned": result.tuned}
    rows = [_row(name, result, "full", {})] if result.labels else []
    rows += [_row(name, result, model, found.to_dict()) for model, found in compared.items() if found]
    parts = result.sources.items() if len(result.sources) > 1 else ()
    return rows + [row for source, part in parts for row in _rows(source, part)]


def _row(name: str, result: Comparison, model: ModelName, agreed: dict[str, Any]) -> dict[str, Any]:
    cells = agreement_cells(agreed) | result.labels.get(model, {})
    return {"images": name, "count": result.images, "model": model, **cells}


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with all columns that one of them has, those of agreement first."""
    columns = dict.fromkeys(column for row in sorted(rows, key=lambda row: row["model"] == "full") for column in row)
    return [{column: row.get(column, "") for column in columns} for row in rows]
