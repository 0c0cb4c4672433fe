"""``sfcore evaluate culane``, ``curvelanes`` and ``tusimple``: files of predictions against files of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from sfcore.cli.console import Answer, Progress, table, with_problems
from sfcore.datasets.layouts.culane import read_list, repeated, unplaced
from sfcore.evaluation.counting import FileCounts
from sfcore.evaluation.metric import Score
from sfcore.evaluation.metrics import culane, curvelanes, tusimple


def run(arguments: SimpleNamespace) -> Answer:
    """Score as the benchmark's official tool does."""
    return _ACTIONS[arguments.what](arguments)


def _culane(arguments: SimpleNamespace) -> Answer:
    progress, names = Progress(), read_list(Path(arguments.list_file), Path(arguments.annotations))
    found = culane.evaluate_files(
        Path(arguments.predictions),
        Path(arguments.annotations),
        names,
        (arguments.iou,),
        arguments.width,
        arguments.size,
        arguments.jobs,
        progress.phase_of("scoring"),
    )
    progress.close()
    scenarios, placed = {}, set[str]()
    for scenario, members in scenario_lists(Path(arguments.list_file), Path(arguments.annotations)).items():
        if any(chosen := [name in members for name in names]):
            scenarios[scenario] = found.figures(chosen)
            placed |= members
    lost = unplaced(names, placed) if scenarios else []
    return _counted(found, scenarios, repeated(Path(arguments.list_file), names) + lost, arguments)


def scenario_lists(chosen: Path, root: Path) -> dict[str, set[str]]:
    """The images of each scenario, from lists ``test0_normal.txt`` and so on beside the chosen one or in test_split."""
    folders = (chosen.parent, chosen.parent / "test_split")
    lists = [path for folder in folders for path in sorted(folder.glob("test[0-9]_*.txt"))]
    return {path.stem.partition("_")[2]: set(read_list(path, root)) for path in lists}


def _curvelanes(arguments: SimpleNamespace) -> Answer:
    progress, names = Progress(), None
    if arguments.list_file:
        names = read_list(Path(arguments.list_file), Path(arguments.annotations).parent)
    found = curvelanes.evaluate_files(
        Path(arguments.predictions),
        Path(arguments.annotations),
        names,
        arguments.size,
        jobs=arguments.jobs,
        progress=progress.phase_of("scoring"),
    )
    progress.close()
    return _counted(found, {}, repeated(Path(arguments.list_file), names) if names else [], arguments)


def _counted(
    found: FileCounts, scenarios: dict[str, Score], problems: Sequence[str], arguments: SimpleNamespace
) -> Answer:
    """Counts of files, in total and by scenario.

    Args:
        problems: of the lists.
    """
    total = found.figures()
    content = {"total": total, "scenarios": scenarios, "images": len(found.names)}
    content["problems"] = [*problems, *found.problems.values()]
    rows = [{"scenario": name, **score} for name, score in (*scenarios.items(), ("total", total))]
    return with_problems(content, table(rows), arguments.allow_missing, bool(found.scored.any()))


def _tusimple(arguments: SimpleNamespace) -> Answer:
    found = tusimple.evaluate_files(Path(arguments.predictions), Path(arguments.labels))
    content = {**found.summary(), "images": len(found.names), "late": found.late, "problems": found.problems}
    rows = [{"images": len(found.names), **found.summary()}]
    return with_problems(content, table(rows), arguments.allow_missing, bool(found.names))


_ACTIONS = {"culane": _culane, "curvelanes": _curvelanes, "tusimple": _tusimple}
