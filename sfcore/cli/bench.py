"""``sfcore bench``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from sfcore.bench.allocations import allocated
from sfcore.bench.grid import carry_out_all
from sfcore.bench.plan import JOINT, Cell, Plan, Setting, Variant
from sfcore.bench.pool import ClusterPool
from sfcore.bench.report import write_report
from sfcore.bench.rows import Row
from sfcore.bench.sources import Source, rendered_calibration, rendered_test, sources_of
from sfcore.bench.table import F1, comparison
from sfcore.cli.commands.bench import Bench
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.names import printable
from sfcore.quant.allocation import WIDTHS
from sfcore.quant.methods import METHODS
from sfcore.quant.methods.options import MAIN
from sfcore.runs.cluster import cluster_of
from sfcore.tasks.base import TASKS

EVERY = "all"


def run(arguments: Bench) -> Answer:
    """Carry out what is left of a bench, then write its tables; so it does when it is interrupted."""
    out = Path(arguments.out)
    with Progress() as progress:
        plan = _plan(arguments, out, progress)
        plan = allocated(plan, out / "schemes", tuple(arguments.candidates or WIDTHS), progress)
        cells = plan.cells(out / "runs")
        texts = arguments.test or [rendered_test(_reader(plan.detectors), out, arguments.test_limit, progress)]
    formats = dict.fromkeys(suffix for name in plan.detectors for suffix in registry.entry(name).input.formats)
    sources = sources_of(texts, arguments.test_limit, formats)
    command = shlex.join(["sfcore", *sys.argv[1:]])
    note(f"{len(cells)} cells, each a run in {out / 'runs'}; those that are done are skipped")
    pool = _pool(arguments, out)
    try:
        failed = _carried_out(cells, sources, arguments.jobs, pool)
    except KeyboardInterrupt:
        write_report(out, plan, cells, sources, {}, command)
        raise
    rows = write_report(out, plan, cells, sources, failed, command)
    for cell, why in failed.items():
        note(f"failed: {cell}: {why}")
    content = {"out": str(out), "cells": len(cells), "failed": failed, "rows": [asdict(row) for row in rows]}
    return Answer(content, _text(rows, sources, out), 1 if failed else 0)


def _pool(arguments: Bench, out: Path) -> ClusterPool | None:
    """Workers on a cluster; None for processes of this machine. Raises InputError: the launcher cannot do that."""
    cluster = cluster_of(arguments.launcher, arguments.address, arguments.cores)
    if cluster is None:
        return None
    return ClusterPool(cluster, max(arguments.jobs, 1), cluster.gpus(arguments.device), out, note)


def _carried_out(
    cells: Sequence[Cell], sources: tuple[Source, ...], jobs: int, pool: ClusterPool | None
) -> dict[str, str]:
    """The cells that failed, and why."""
    with Progress() as progress:

        def watch(done: int, total: int, left: float | None) -> None:
            if left is not None:
                progress("cells", done, total, left)

        return carry_out_all(cells, sources, jobs, watch, pool=pool)


def _plan(arguments: Bench, out: Path, progress: Progress) -> Plan:
    options = [name for name in MAIN if name != "k" and getattr(arguments, name) is not None]
    settings = [f"{name}={getattr(arguments, name)}" for name in options]
    settings += [f"transforms={JOINT.join(arguments.transforms)}"] if arguments.transforms else []
    named = [_named_file(text) for text in arguments.weights or ()]
    weights = {name: file for name, file, _ in named}
    detectors = _detectors(arguments.detectors, weights)
    usual = () if arguments.images else (rendered_calibration(_reader(detectors), out, arguments.limit, progress),)
    return Plan(
        detectors=detectors,
        schemes=tuple(arguments.bits),
        variants=tuple(map(Variant.parse, METHODS if arguments.methods == [EVERY] else arguments.methods)),
        seeds=tuple(arguments.seeds),
        images=(*(arguments.images or ()), *usual),
        limit=arguments.limit,
        weights=weights,
        weights_keys={name: key for name, _, key in named if key},
        settings=tuple(map(Setting.parse, [*settings, *(arguments.settings or ())])),
        ks=tuple(arguments.k or ()),
        device=arguments.device,
    )


def _detectors(names: list[str], weights: dict[str, str]) -> tuple[str, ...]:
    """Those named; a task's name stands for its detectors that have weights, shipped or given, "all" for lanes'."""
    found = list[str]()
    for name in names:
        task = Detector.task_name if name == EVERY else name
        found += _of_task(task, weights) if task in TASKS.names() else [name]
    kinds = {registry.entry(name).input.kind for name in found}
    if len(kinds) > 1:
        raise InputError(f"the detectors read {' and '.join(sorted(kinds))}: bench those of each kind on their own")
    return tuple(dict.fromkeys(found))


def _of_task(task: str, weights: Collection[str]) -> list[str]:
    """The detectors of a task that have weights."""
    able = [each for each in registry.entries() if each.shipped or each.name in weights]
    return [each.name for each in able if each.sample.task_name == task]


def _reader(detectors: Sequence[str]) -> InputSpec:
    """What all of them read."""
    return registry.entry(detectors[0]).input


def _named_file(text: str) -> tuple[str, str, str]:
    """The detector, the file and the key, which is empty where none is given, of ``DETECTOR=FILE[::KEY]``."""
    name, equals, place = text.partition("=")
    file, _, key = (place, "", "") if Path(place).exists() else place.partition("::")
    if not (name and equals and file):
        raise InputError(f"--weights {text!r} names no checkpoint: write DETECTOR=FILE or DETECTOR=FILE::KEY")
    return name, file, key


def _text(rows: list[Row], sources: tuple[Source, ...], out: Path) -> str:
    """The first table of each source, and where the others are."""
    parts = []
    for source in sources:
        here = [row for row in rows if row.test == source.name]
        found = comparison(here, F1, "", f"{F1.title}; {source.name}")
        lines = [dict(zip(found.header, (entry.text for entry in line), strict=True)) for line in found.body]
        parts += [f"{found.title}\n{table(lines)}"] if lines else []
    return "\n\n".join([*parts, f"report.md, results.csv, results.json, tables/ and runs/ are in {printable(out)}"])
