"""Sweeps: one run repeated with several values of k and λ, and how far they are."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app import results
from app.team import actions
from app.team.places import Place
from sfcore.errors import InputError
from sfcore.quant.methods.options import idle
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.tags import Tags, tags_of

PREFIX = "sweep "  # of the tag that keeps the runs of a sweep together
MOST = 64  # runs of one sweep


@dataclass(frozen=True)
class Axes:
    """Which of the two values change something in a run's method; the reason where one does not."""

    k: str | None
    lam: str | None


def axes(spec: RunSpec) -> Axes:
    """Why k or λ cannot be varied, None where it can. Raises InputError: the method is not known here."""
    recipe = spec.settings()
    why = idle(type(recipe), asdict(recipe))
    k, lam = (f"{spec.method} {why[name]}" if name in why else None for name in ("k", "lam"))
    return Axes(k, lam)


def variants(spec: RunSpec, ks: Sequence[int], lams: Sequence[float]) -> list[RunSpec]:
    """The specification with each pair of k and λ; an empty list leaves that value as it is.

    Raises:
        InputError: a value is out of range, or there are too many.
    """
    if len(ks) * len(lams) > MOST:
        raise InputError(f"{len(ks)} × {len(lams)} runs are too many for one sweep: at most {MOST}")
    found = []
    for k in dict.fromkeys(ks) or (None,):
        for lam in dict.fromkeys(lams) or (None,):
            chosen = {name: value for name, value in (("k", k), ("lam", lam)) if value is not None}
            found.append(replace(spec, options={**spec.options, **chosen}))
    for one in found:
        one.settings()
    return found


def numbers(texts: Sequence[str]) -> list[float]:
    """Values of λ as they were typed. Raises InputError: one is no number above 0."""
    found = []
    for text in texts:
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise InputError(f"λ = {text}: it must be a number greater than 0")
        found.append(value)
    return found


def begin(pattern: RunFolder, specs: Sequence[RunSpec]) -> str:
    """Create the runs beside the pattern and queue them; returns the tag that they share.

    Raises:
        InputError: a specification is wrong, then none is started; or a folder cannot be written.
    """
    for spec in specs:
        spec.validate()
    actions.check_sweep(len(specs))
    when = time.strftime("%m%d-%H%M%S")
    for spec in specs:
        values = [f"{name}{spec.options[name]:g}" for name in ("k", "lam") if name in spec.options]
        name = "-".join([spec.detector, spec.full_scheme().slug, spec.method, *values, when])
        path = actions.name_of(name, private=results.on_uploads(pattern))
        run = actions.start(path, _owned(spec, pattern, path), Place.of(pattern), Tags((PREFIX + when,)))
        results.claim(run)
    return PREFIX + when


def _owned(spec: RunSpec, pattern: RunFolder, path: Path) -> RunSpec:
    """Images and weights that lie in the pattern's folder (uploads) are linked into the run's own, to outlive it."""

    def own(source: str) -> str:
        old = Path(source)
        if not pattern.keeps(source):
            return source
        path.mkdir(parents=True, exist_ok=True)
        copy = path / old.name
        shutil.copytree(old, copy, copy_function=os.link) if old.is_dir() else os.link(old, copy)
        return str(copy)

    return replace(spec, images=tuple(map(own, spec.images)), weights=own(spec.weights) if spec.weights else None)


def sweeps(runs: Sequence[RunFolder]) -> dict[str, list[RunFolder]]:
    """The runs of each sweep by its tag, as long as one of them waits or works."""
    found: dict[str, list[RunFolder]] = {}
    for run in runs:
        for tag in tags_of(run).tags:
            if tag.startswith(PREFIX):
                found.setdefault(tag, []).append(run)
    return {tag: each for tag, each in found.items() if any(run.is_alive() for run in each)}


def state(runs: Sequence[RunFolder]) -> str:
    """How far a sweep is: "3 done, 1 running, 8 queued"."""
    counts = Counter(str(run.status) for run in runs)
    order = ("done", "running", "queued", "stopped", "failed")
    return ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
