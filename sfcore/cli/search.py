"""``sfcore search``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.bench.plan import Setting
from sfcore.cli.commands.search import SearchValues
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.errors import InputError
from sfcore.names import printable
from sfcore.quant.methods import METHODS
from sfcore.quant.transforms import with_usual
from sfcore.runs import RunSpec
from sfcore.runs.launcher import LOCAL
from sfcore.search.folder import HOPELESS, Search, Trial, begin, best_of, trials
from sfcore.search.page import write_page
from sfcore.search.process import FILE as LAUNCHED
from sfcore.search.process import Launched, launch
from sfcore.search.samplers import GRID
from sfcore.search.space import Space
from sfcore.search.work import carry_out, check

TRIALS = 20  # unless said otherwise, or there are fewer combinations


def run(arguments: SearchValues) -> Answer:
    """Carry out what is left of a search, then say what was best; or leave it to a process of its own."""
    path, search = Path(arguments.out), searched(arguments)
    elsewhere = arguments.launcher, arguments.address, arguments.cores
    if elsewhere != (None, None, 1) and not (arguments.detach and arguments.launcher):
        raise InputError("--launcher, --address and --cores are of runs elsewhere: add --detach and --launcher")
    note(f"{search.trials} trials, each a run beside {path}; those that have ended are skipped")
    if arguments.detach:
        return _detached(path, search, arguments)
    with Progress() as progress:
        carry_out(path, search, arguments.jobs, progress.phase_of("trials"))
    found = trials(path)
    page = write_page(path)
    best, failed = best_of(found), [trial for trial in found if trial.state == "failed"]
    for trial in failed:
        note(f"failed: {trial.run}: {trial.why}")
    every = [trial.to_dict() for trial in found]
    content = {"search": str(path), "page": str(page), "best": best and best.to_dict(), "trials": every}
    return Answer(content, f"{_text(found, best)}\npictures: {printable(page)}", 1 if failed or best is None else 0)


def _detached(path: Path, search: Search, arguments: SearchValues) -> Answer:
    """Leave a search to a process of its own, which launches its trials."""
    check(search, arguments.jobs)
    begin(path, search)
    how = Launched(arguments.launcher or LOCAL, arguments.address, arguments.cores, arguments.jobs)
    pid = launch(path, how if arguments.launcher or not (path / LAUNCHED).exists() else None)
    return Answer({"search": str(path), "pid": pid}, f"{path} is searched by process {pid}")


def searched(arguments: SearchValues) -> Search:
    """What the options ask for. Raises InputError: they cannot be searched."""
    spec = _spec(arguments)
    size = Space.parse(spec, arguments.over).size()
    usual = size if arguments.sampler == GRID else min(size, TRIALS)
    count = min(arguments.trials or usual, usual) if arguments.sampler == GRID else arguments.trials or usual
    if count == float("inf"):
        raise InputError("a range has no grid: list its values, or choose --sampler random or tpe")
    over, early = tuple(arguments.over), not arguments.to_the_end
    return Search(spec.to_dict(), over, arguments.sampler, int(count), arguments.seed, early)


def _spec(arguments: SearchValues) -> RunSpec:
    settings = [Setting.parse(text) for text in arguments.settings or ()]
    usual = METHODS[arguments.method].calibration()
    calibrators: dict[str, Any] = {name: getattr(arguments, name) or usual[name] for name in usual}
    return RunSpec(
        arguments.detector, tuple(arguments.images), arguments.bits, arguments.method, arguments.weights,
        {one.option: one.value for one in settings if one.where <= {arguments.method}}, arguments.limit,
        arguments.seed, arguments.device, bias_correction=not arguments.no_bias_correction,
        weights_key=arguments.weights_key, transforms=with_usual(arguments.transforms or ()), **calibrators,
    ).absolute()  # fmt: skip


def _text(found: list[Trial], best: Trial | None) -> str:
    """The trials, the least distorted first, and what became of them."""
    order = sorted(found, key=lambda t: (t.state != "done", float("inf") if t.value is None else t.value))
    rows = [{"run": t.run.name, **t.params, "distortion": t.value, "state": t.state} for t in order]
    early = sum(trial.state == HOPELESS for trial in found)
    parts = [table(rows)]
    parts += [f"{early} of {len(found)} trials were stopped early"] if early else []
    parts += [f"best: {best.run}; judge it on images that chose nothing (sfcore compare)"] if best else []
    return "\n".join(parts)
