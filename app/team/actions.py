"""What visitors do with runs and searches: whether they may, the deed, and a line about it in the log."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from threading import Lock

from app.team import activity, limits
from app.team.people import check_mine, check_owner, person
from app.team.places import Place, check_offered
from sfcore import runs
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, default_root, trash
from sfcore.runs.estimate import trial_path, try_out
from sfcore.runs.tags import Tags, write_tags
from sfcore.runs.trash import Deleted
from sfcore.search import presence, process
from sfcore.search.folder import Search, begin, trials
from sfcore.search.process import Launched
from sfcore.serving import serving

_one_at_a_time = Lock()  # of starts, so that two pages of one person do not both take the last place


def name_of(name: str, private: bool) -> Path:
    """A folder for a new run; in a team nobody guesses that of one on uploads, so its link is for those who have it."""
    end = f"-{secrets.token_hex(8)}" if private and serving() else ""
    return runs.unused(default_root() / f"{name}{end}")


def start(path: Path, spec: RunSpec, place: Place | None = None, tags: Tags | None = None) -> RunFolder:
    """Begin a run, which is this visitor's.

    Args:
        place: where; None for here.

    Raises:
        InputError: they have too many, or it cannot be begun, there or at all; then nothing is left of it.
    """
    place = place or Place()
    check_offered(place)
    with _one_at_a_time:
        limits.check_queue()
        run = RunFolder.create(path, spec)
        if serving():
            run.update(owner=person().record)
        if tags:
            write_tags(run, tags)
        try:
            runs.launch(run, place.name, place.address, place.cores)
        except InputError:
            shutil.rmtree(path, ignore_errors=True)
            raise
    activity.note("start", run.name)
    return run


def attempt(spec: RunSpec) -> None:
    """Begin a trial. Raises InputError: this visitor has too many runs."""
    with _one_at_a_time:
        if not RunFolder(trial_path(spec, default_root())).is_alive():
            limits.check_queue()
        trial = try_out(spec, default_root(), **({"owner": person().record} if serving() else {}))
    activity.note("try", trial.name)


def stop(run: RunFolder) -> None:
    """Stop a run of this visitor's. Raises InputError: it is another's, or not going on."""
    check_mine(run, "stop")
    runs.stop(run)
    activity.note("stop", run.name)


def resume(run: RunFolder) -> None:
    """Go on with a run of this visitor's. Raises InputError: it is another's, or there are too many."""
    check_mine(run, "resume")
    check_offered(Place.of(run))
    with _one_at_a_time:
        limits.check_queue()
        runs.launch(run)
    activity.note("resume", run.name)


def label(run: RunFolder, tags: Tags) -> None:
    """Write on a run of this visitor's. Raises InputError: it is another's, or cannot be written."""
    check_mine(run, "label")
    write_tags(run, tags)
    activity.note("label", run.name)


def delete(name: str) -> Deleted:
    """Move a run of this visitor's to the trash.

    Raises:
        InputError: it is another's, it is going on, or it is no run.
    """
    run = RunFolder.open(default_root() / Path(name).name)
    check_mine(run, "delete")
    gone = trash.delete(run)
    activity.note("delete", run.name)
    return gone


def restore(gone: Deleted) -> None:
    """Bring a run of this visitor's back. Raises InputError: it is another's, or cannot be brought back."""
    check_mine(RunFolder(gone.place), "restore")
    trash.restore(gone)
    activity.note("restore", gone.name)


def remove(gone: Deleted) -> None:
    """Remove a deleted run of this visitor's for good. Raises InputError: it is another's."""
    check_mine(RunFolder(gone.place), "remove")
    trash.remove(gone)
    activity.note("remove", gone.name)


def search(path: Path, what: Search, place: Place, at_once: int = 1) -> None:
    """Begin a search, which is this visitor's.

    Args:
        place: where its trials go.
        at_once: trials at a time.

    Raises:
        InputError: they have too many runs, or it cannot be begun; then nothing is left of it.
    """
    check_offered(place)
    owned = person().record if serving() else {}
    with _one_at_a_time:
        limits.check_queue(at_once)
        try:
            begin(path, what)
            process.launch(path, Launched(place.name, place.address, place.cores, at_once, owned))
        except InputError:
            shutil.rmtree(path, ignore_errors=True)
            raise
    activity.note("search", path.name)


def stop_search(path: Path) -> None:
    """Stop a search of this visitor's. Raises InputError: it is another's, or not going on."""
    _check_search(path, "stop")
    presence.stop(path)
    activity.note("stop search", path.name)


def resume_search(path: Path) -> None:
    """Go on with a search of this visitor's. Raises InputError: it is another's, or there are too many runs."""
    _check_search(path, "resume")
    how = process.launched(path)
    check_offered(Place(how.launcher, how.address, how.cores))
    with _one_at_a_time:
        limits.check_queue(how.at_once)
        process.launch(path)
    activity.note("resume search", path.name)


def remove_search(path: Path) -> None:
    """Remove a search of this visitor's for good, with the uploads that it keeps.

    Raises:
        InputError: it is another's, it is going on, or there are runs of it.
    """
    _check_search(path, "remove")
    if presence.is_alive(path) or trials(path):
        raise InputError(f"the search {path.name} has runs: stop it and delete them on the Runs page first")
    shutil.rmtree(path)
    activity.note("remove search", path.name)


def _check_search(path: Path, doing: str) -> None:
    check_owner(f"search {path.name}", process.launched(path).owner, doing)
