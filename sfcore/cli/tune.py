"""``sfcore tune``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfcore.bench.plan import Setting
from sfcore.cli.commands.tune import Tune
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.errors import InputError
from sfcore.quant.methods import METHODS, methods
from sfcore.quant.methods.options import MAIN, options_of
from sfcore.quant.transforms import beyond_usual, with_usual
from sfcore.runs import RunFolder, RunSpec, ahead, create_or_resume, launch
from sfcore.runs.results import recorded_cost
from sfcore.runs.worker import work

INTERRUPTED = 130


def run(arguments: Tune) -> Answer:
    """Start a run, or go on with it, here or in a process of its own."""
    usual = METHODS[arguments.method].calibration()
    calibrators: dict[str, Any] = {name: getattr(arguments, name) or usual[name] for name in usual}
    spec = RunSpec(
        detector=arguments.detector,
        images=tuple(arguments.images),
        scheme=arguments.bits,
        method=arguments.method,
        weights=arguments.weights,
        options=_method_options(arguments),
        limit=arguments.limit,
        seed=arguments.seed,
        device=arguments.device,
        bias_correction=not arguments.no_bias_correction,
        weights_key=arguments.weights_key,
        transforms=with_usual(arguments.transforms or ()),
        **calibrators,
    )
    chosen = arguments.launcher, arguments.address, arguments.cores
    if chosen != (None, None, 1) and not (arguments.detach and arguments.launcher):
        raise InputError("--launcher, --address and --cores are of runs elsewhere: add --detach and --launcher")
    return carry_out(create_or_resume(Path(arguments.out), spec), arguments.detach, *chosen)


def carry_out(
    folder: RunFolder, detach: bool, launcher: str | None = None, address: str | None = None, cores: int = 1
) -> Answer:
    """Work on a run at once until it is done, or leave it to a process of its own, which waits for its turn."""
    if detach:
        pid, before = launch(folder, launcher, address, cores), [str(run.path) for run in ahead(folder)]
        what = "process" if isinstance(pid, int) else "job"
        doing = f"waits, as {what} {pid}, for {', '.join(before)}" if before else f"runs as {what} {pid}"
        return Answer(
            {"run": str(folder.path), "status": folder.status, "pid": pid, "ahead": before}, f"{folder.path} {doing}"
        )
    with Progress() as progress:
        status = work(folder, watch=lambda event: _show(progress, event))
    answer = summary(folder)
    return Answer(answer.content, answer.text, 0 if status == "done" else INTERRUPTED)


def summary(folder: RunFolder) -> Answer:
    """What was asked of a run, how far it is and what it gave."""
    record, status = folder.record(), folder.status
    events, _ = folder.events()
    steps = [event for event in events if event["type"] == "step"]
    content = {"run": str(folder.path), **record, "status": status, "last": steps[-1] if steps else None}
    spec = folder.spec
    lines = [f"{folder.path}: {status}", f"{spec.detector} {spec.full_scheme().name} {spec.method}, seed {spec.seed}"]
    chosen = beyond_usual(spec.transforms)
    lines += [f"transforms: {', '.join(chosen)}"] if chosen else []
    lines += [str(cost)] if (cost := recorded_cost(folder)) else []
    lines += [f"error: {record['error']}"] if record.get("error") else []
    rows = [
        {"held-back images": found["images"], "model": name, **agreement_cells(found)}
        for name, found in record.get("result", {}).items()
    ]
    lines += [f"{name} stays in full precision: {why}" for name, why in record.get("full_precision", {}).items()]
    lines += [table(rows)] if rows else []
    return Answer(content, "\n".join(lines))


def agreement_cells(found: Mapping[str, Any]) -> dict[str, Any]:
    """What tables show of an agreement that was written down: F1, distortion, and the shift, called after its unit."""
    return {name: found[name] for name in found if name in ("f1", "distortion") or name.startswith("shift_")}


def _method_options(arguments: Tune) -> dict[str, Any]:
    """The method options that were given; those that the method does not have are named and left out.

    Raises:
        InputError: what --set gives is no OPTION=VALUE.
    """
    given = {name: getattr(arguments, name) for name in MAIN if getattr(arguments, name) is not None}
    settings = [Setting.parse(text) for text in arguments.settings or ()]
    given |= {one.option: one.value for one in settings if one.where <= {arguments.method}}
    config = methods().get(arguments.method)
    known = set(options_of(config)) if config else set(given)
    for name in sorted(given.keys() - known):
        note(f"the method {arguments.method} has no option {name}: it is not used")
    return {name: value for name, value in given.items() if name in known}


def _show(progress: Progress, event: Mapping[str, Any]) -> None:
    if event["type"] == "progress":
        progress(event["phase"], event["done"], event["total"])
    elif event["type"] == "note":
        note(event["text"])
    elif event["type"] == "step":
        progress("tuning", event["iteration"], event["iterations"])
