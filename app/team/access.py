"""What a visitor of a team may read by a path: see :mod:`sfcore.roots`, and what runs that they see keep."""

from __future__ import annotations

from pathlib import Path

from app import results
from sfcore.datasets.source import source_of, source_parts
from sfcore.errors import InputError
from sfcore.roots import allowed, real, runs
from sfcore.serving import serving


def reach(text: str) -> str:
    """A path that was typed, or came with a link, with ``~`` written out.

    Raises:
        InputError: the visitor may not read there, or there is no such person as after ``~``.
    """
    path = Path(expanded(text))
    if serving() is not None and not _is_of_a_run_seen(path):
        allowed(path)
    return str(path)


def reach_source(text: str) -> None:
    """The same of a source of frames, such as ``frames[:140]`` or ``scenes:600``; those that are made lie nowhere.

    Raises:
        InputError: the visitor may not read there.
        OSError: the system refuses such a path.
    """
    place = source_parts(text)[0]
    if source_of(place).plain:
        reach(str(place))


def expanded(text: str) -> str:
    """A path with ``~`` written out. Raises InputError: there is no such person."""
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise InputError(f"{text} names nobody of this machine: give the path from its root") from error


def _is_of_a_run_seen(path: Path) -> bool:
    """Whether a path lies in a run or a search that this visitor sees: its uploads come with it."""
    leads, folder = real(path), runs()
    if not leads.is_relative_to(folder) or leads == folder:
        return False
    seen = {run.name for run in results.runs()} | {path.name for path in results.searches()}
    return leads.relative_to(folder).parts[0] in seen
