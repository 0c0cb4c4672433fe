"""Deleting runs with a way back: they lie in ``.trash`` beside the runs for a day, and their names are free again."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from sfcore import clock
from sfcore.errors import InputError
from sfcore.files import explained, write_json
from sfcore.runs.folder import RunFolder

FOLDER = ".trash"
KEPT_SECONDS = 24 * 3600
_WHEN = "deleted.json"  # beside the run: when, by the clock that counts from the machine's start


@dataclass(frozen=True)
class Deleted:
    """A deleted run.

    Attributes:
        place: its folder while it is in the trash, named as the run, in a folder of its own.
        root: where it was.
    """

    place: Path
    root: Path

    @property
    def name(self) -> str:
        return self.place.name


def delete(run: RunFolder) -> Deleted:
    """Move a run to the trash; it is held meanwhile, so that no worker starts on it.

    Raises:
        InputError: it is going on, or cannot be moved.
    """
    root = run.path.parent
    if run.is_alive():
        raise InputError(f"the run {run.name} is going on: stop it on the Tune page first")
    with run.lock(), explained(root / FOLDER):
        (root / FOLDER).mkdir(exist_ok=True)
        place = Path(mkdtemp(dir=root / FOLDER)) / run.name
        write_json(place.parent / _WHEN, clock.since_boot())
        os.rename(run.path, place)
    return Deleted(place, root)


def restore(run: Deleted) -> RunFolder:
    """Put a deleted run back where it was.

    Raises:
        InputError: the trash was emptied, or another run has its name now.
    """
    target = run.root / run.name
    if target.exists():
        raise InputError(f"there is another run {run.name} now: delete or rename that one, then undo again")
    if not run.place.is_dir():
        raise InputError(f"the run {run.name} is no longer in the trash: it was emptied, or a day has passed")
    with explained(target):
        os.rename(run.place, target)
        shutil.rmtree(run.place.parent)
    return RunFolder.open(target)


def trash(root: Path) -> list[Deleted]:
    """The deleted runs of a folder of runs, the latest first."""
    found = sorted((root / FOLDER).glob("*/*/run.json"), key=lambda path: -path.parents[1].stat().st_mtime)
    return [Deleted(path.parent, root) for path in found]


def remove(run: Deleted) -> None:
    """Remove a deleted run for good."""
    shutil.rmtree(run.place.parent, ignore_errors=True)


def empty(root: Path, kept_seconds: float = KEPT_SECONDS) -> None:
    """Remove for good what has been in the trash for so long, by every clock that knows."""
    for each in (root / FOLDER).glob("*"):
        if _age(each) >= kept_seconds:
            shutil.rmtree(each, ignore_errors=True)


def _age(place: Path) -> float:
    """Seconds since something was deleted, the fewest that can be: the machine's clock may have been set meanwhile.

    What was deleted while that clock was ahead of the present time would stay for long; its day begins now.
    """
    age = time.time() - place.stat().st_mtime
    if age < 0:
        os.utime(place)
    with suppress(OSError, ValueError, TypeError):
        boot, then = json.loads((place / _WHEN).read_text(encoding="utf-8"))
        now = clock.since_boot()
        age = min(age, now[1] - then) if boot and boot == now[0] else age
    return max(age, 0.0)
