"""``sfcore search``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfcore.bench.plan import Setting
from sfcore.cli.commands.search import SearchValues
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.errors import InputError
from sfcore.quant.methods import METHODS
from sfcore.quant.transforms import with_usual
from sfcore.runs import RunSpec
from sfcore.search.folder import HOPELESS, Search, Trial, best_of, trials
from sfcore.search.samplers import GRID
from sfcore.search.space import Space
from sfcore.search.work import carry_out

TRIALS = 20  # unless said otherwise, or there are fewer combinations


def run(arguments: SearchValues) -> Answer:
    """Carry out what is left of a search, then say what was best."""
    path, spec = Path(arguments.out), _spec(arguments)
    size = Space.parse(spec, arguments.over).size()
    usual = size if arguments.sampler == GRID else min(size, TRIALS)
    count = min(arguments.trials or usual, usual) if arguments.sampler == GRID else arguments.trials or usual
    if count == float("inf"):
        raise InputError("a range has no grid: list its values, or choose --sampler random or tpe")
    search = Search(
        spec.to_dict(), tuple(arguments.over), arguments.sampler, int(count), arguments.seed, not arguments.to_the_end
    )
    note(f"{search.trials} trials, each a run beside {path}; those that have ended are skipped")
    with Progress() as progress:
        carry_out(path, search, arguments.jobs, progress.phase_of("trials"))
    found = trials(path)
    best, failed = best_of(found), [trial for trial in found if trial.state == "failed"]
    for trial in failed:
        note(f"failed: {trial.run}: {trial.why}")
    content = {"search": str(path), "best": best and best.to_dict(), "trials": [trial.to_dict() for trial in found]}
    return Answer(content, _text(found, best), 1 if failed or best is None else 0)


def _spec(arguments: SearchValues) -> RunSpec:
    settings = [Setting.parse(text) for text in arguments.settings or ()]
    calibrators: dict[str, Any] = METHODS[arguments.method].calibration()
    return RunSpec(
        arguments.detector, tuple(arguments.images), arguments.bits, arguments.method, arguments.weights,
        {one.option: one.value for one in settings if one.where <= {arguments.method}}, arguments.limit,
        arguments.seed, arguments.device, weights_key=arguments.weights_key,
        transforms=with_usual(arguments.transforms or ()), **calibrators,
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
