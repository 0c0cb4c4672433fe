"""``sfcore evaluate culane``, ``curvelanes`` and ``tusimple``: files of predictions against files of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sfcore.cli.commands.evaluate import CuLane, CurveLanes, TuSimple
from sfcore.cli.console import Answer, Progress, table, with_problems
from sfcore.datasets.layouts.culane import read_list, repeated, unplaced
from sfcore.evaluation.counting import FileCounts
from sfcore.evaluation.metric import Score
from sfcore.evaluation.metrics import culane, curvelanes, tusimple


def score_culane(arguments: CuLane) -> Answer:
    """Score as CULane's official tool does, in total and by scenario."""
    names = read_list(Path(arguments.list_file), Path(arguments.annotations))
    with Progress() as progress:
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
    scenarios, placed = {}, set[str]()
    for scenario, members in scenario_lists(Path(arguments.list_file), Path(arguments.annotations)).items():
        if any(chosen := [name in members for name in names]):
            scenarios[scenario] = found.figures(chosen)
            placed |= members
    lost = unplaced(names, placed) if scenarios else []
    return _counted(found, scenarios, repeated(Path(arguments.list_file), names) + lost, arguments.allow_missing)


def scenario_lists(chosen: Path, root: Path) -> dict[str, set[str]]:
    """The images of each scenario, from lists ``test0_normal.txt`` and so on beside the chosen one or in test_split."""
    folders = (chosen.parent, chosen.parent / "test_split")
    lists = [path for folder in folders for path in sorted(folder.glob("test[0-9]_*.txt"))]
    return {path.stem.partition("_")[2]: set(read_list(path, root)) for path in lists}


def score_curvelanes(arguments: CurveLanes) -> Answer:
    """Score as CurveLanes' official tool does."""
    names, problems = None, list[str]()
    if arguments.list_file:
        names = read_list(Path(arguments.list_file), Path(arguments.annotations).parent)
        problems = repeated(Path(arguments.list_file), names)
    with Progress() as progress:
        found = curvelanes.evaluate_files(
            Path(arguments.predictions),
            Path(arguments.annotations),
            names,
            arguments.size,
            jobs=arguments.jobs,
            progress=progress.phase_of("scoring"),
        )
    return _counted(found, {}, problems, arguments.allow_missing)


def _counted(found: FileCounts, scenarios: dict[str, Score], problems: Sequence[str], allow_missing: bool) -> Answer:
    """Counts of files, in total and by scenario.

    Args:
        problems: of the lists.
    """
    total = found.figures()
    content = {"total": total, "scenarios": scenarios, "images": len(found.names)}
    content["problems"] = [*problems, *found.problems.values()]
    rows = [{"scenario": name, **score} for name, score in (*scenarios.items(), ("total", total))]
    return with_problems(content, table(rows), allow_missing, bool(found.scored.any()))


def score_tusimple(arguments: TuSimple) -> Answer:
    """Score as TuSimple's lane.py does."""
    found = tusimple.evaluate_files(Path(arguments.predictions), Path(arguments.labels))
    content = {**found.summary(), "images": len(found.names), "late": found.late, "problems": found.problems}
    rows = [{"images": len(found.names), **found.summary()}]
    return with_problems(content, table(rows), arguments.allow_missing, bool(found.names))
