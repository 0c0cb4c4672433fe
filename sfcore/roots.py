"""Which files a server for several people reads: those in the folders that it was given, and its own.

A path is judged by where it leads, links resolved, so every spelling of it is judged alike. Without
:func:`~sfcore.serving.serving` everything may be read that the operating system lets be read.

What people have brought, uploads and the runs that keep copies of them, lies in *private* places. No path that somebody
types leads there, and no list or link in a root does; only the app itself goes there, by the names of these places.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from sfcore.errors import InputError
from sfcore.resources import cache, sample_data
from sfcore.serving import Serving, serving

UPLOADS = "sfcore-uploads-"  # begins the name of a server's folder of uploads, among the temporary ones


def allowed(path: Path | str) -> Path:
    """A path that somebody typed, or that came with a link, where a visitor may read what is there.

    Raises:
        InputError: it leads out of the roots, or to what others have brought.
    """
    team = serving()
    if team is not None:
        leads = real(path)
        if is_private(leads) or not _in_any(leads, (*_roots(team), real(sample_data()))):
            raise _outside(path, team)
    return Path(path)


def readable(path: Path) -> Path:
    """A path that is about to be opened, whoever named it: what is allowed, and what the server itself keeps.

    Raises:
        InputError: it leads elsewhere.
    """
    if serving() is not None and not _is_own(path):
        allowed(path)
    return path


def check_listed(place: Path, files: Iterable[Path]) -> None:
    """Refuse what a list or a link in a place names elsewhere; what lies in the place may be read as the place may.

    Raises:
        InputError: a file leads out of the place and of the roots, or to what others have brought.
    """
    if serving() is not None:
        inside, folder = real(place), lru_cache(maxsize=None)(real)  # of many files in few folders
        for file in files:
            leads = real(file) if file.is_symlink() or file.name == ".." else folder(file.parent) / file.name
            if not leads.is_relative_to(inside):
                allowed(file)


def is_private(leads: Path) -> bool:
    """Whether a path, links resolved, lies among what people have brought to this server."""
    return any(leads.is_relative_to(real(place)) for place in _private(leads))


def real(path: Path | str) -> Path:
    """Where a path leads, links resolved. Raises InputError: it holds a NUL character, as no name does."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise InputError(f"{path} is no path ({error}): check how it is spelled") from error


def runs() -> Path:
    """Where a server keeps its runs, links resolved."""
    return real(_runs())


def _is_own(path: Path) -> bool:
    """Whether a path names what is in a private place by the name of that place, not by a way around."""
    if ".." in path.parts:
        return False
    named, leads = Path(os.path.abspath(path)), real(path)
    return any(
        leads.is_relative_to(real(place)) and _in_any(named, (Path(os.path.abspath(place)), real(place)))
        for place in _private(leads)
    )


def _private(leads: Path) -> list[Path]:
    """Where people's own things lie: runs, caches, and of uploads the folder in which a path lies."""
    temporary = Path(tempfile.gettempdir())
    inside = leads.parts[len(real(temporary).parts) :] if leads.is_relative_to(real(temporary)) else ()
    uploads = [temporary / inside[0]] if inside and inside[0].startswith(UPLOADS) else []
    return [_runs(), cache(), *uploads]


def _runs() -> Path:
    return Path(os.environ.get("SFCORE_RUNS", "runs"))


@lru_cache(maxsize=4)
def _roots(team: Serving) -> tuple[Path, ...]:
    return tuple(map(real, team.roots))


def _in_any(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _outside(path: Path | str, team: Serving) -> InputError:
    return InputError(
        f"{path} is outside of what this server may read ({', '.join(team.roots)}): choose a path in there, or ask who "
        "runs the server to start it with --root for that folder, too"
    )
