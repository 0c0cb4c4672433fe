"""How much one person of a team may take: pages open at once, runs at once, bytes of uploads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.team.people import owner, person
from sfcore.errors import InputError
from sfcore.runs import default_root, list_runs
from sfcore.runs.estimate import TRIALS
from sfcore.search.folder import searches
from sfcore.search.presence import is_alive
from sfcore.search.process import launched
from sfcore.serving import Serving, serving


class Seats:
    """Which pages are open, and whose.

    Args:
        is_open: whether a session's page still is; those that were closed leave their seats.
    """

    def __init__(self, is_open: Callable[[str], bool]) -> None:
        self._is_open, self._taken, self._lock = is_open, dict[str, str](), Lock()

    def take(self, session: str, who: str, team: Serving) -> None:
        """Let a session of a person in; one that is in stays so.

        Raises:
            InputError: they have too many, or all together have.
        """
        with self._lock:
            self._taken = {each: whose for each, whose in self._taken.items() if self._is_open(each)}
            others = {each: whose for each, whose in self._taken.items() if each != session}
            if self._taken.get(session) != who:
                if list(others.values()).count(who) >= team.sessions:
                    raise InputError(
                        f"you have {team.sessions} pages open, as many as one person may: close one, then reload this"
                    )
                if len(others) >= team.visitors:
                    raise InputError(f"all {team.visitors} places of this server are taken: wait, then reload this")
            self._taken[session] = who


@st.cache_resource(show_spinner=False)
def _seats() -> Seats:
    return Seats(lambda session: not exists() or get_instance().is_active_session(session))


def take_seat() -> None:
    """Let this page in. Raises InputError: this person has too many open, or all together have."""
    team, context = serving(), get_script_run_ctx()
    if team and context:
        _seats().take(context.session_id, person().id, team)


def check_queue(more: int = 1) -> None:
    """Refuse runs beyond what one person may have at once; a trial is one, too, and so is a search beside its trials.

    Raises:
        InputError: there would be too many.
    """
    team = serving()
    if team is None:
        return
    me, going = person().id, [*list_runs(default_root()), *list_runs(default_root() / TRIALS)]
    mine = sum(owner(run).get("id") == me and run.is_alive() for run in going)
    mine += sum(map(is_alive, _searches_of(me)))
    if mine + more > team.queued:
        raise InputError(
            f"you have {mine} runs that wait or work, and one person may have {team.queued}: {more} more must wait "
            "until some are done or stopped; nothing is lost, all settings stay here"
        )


def kept_bytes() -> int:
    """Bytes of the uploads that this person's runs and searches keep copies of."""
    me = person().id
    runs = [run.path for run in list_runs(default_root()) if owner(run).get("id") == me]
    return sum(map(_size, [*runs, *_searches_of(me)]))


def _searches_of(person_id: str) -> list[Path]:
    return [path for path in searches(default_root()) if launched(path).owner.get("id") == person_id]


def check_room(size: int) -> None:
    """Refuse uploads beyond what one person may have, with what their runs keep.

    Args:
        size: bytes of what is uploaded, all of it.

    Raises:
        InputError: they would be too many.
    """
    team = serving()
    if team is not None and size + (kept := kept_bytes()) > team.upload_mb * 2**20:
        raise InputError(
            f"your uploads would take {size / 2**20:.0f} MB and your runs keep {kept / 2**20:.0f} MB, and one person "
            f"may have {team.upload_mb} MB: take some back, or delete runs on uploads on the Runs page"
        )


def _size(path: Path) -> int:
    kept = [path / "images", *path.glob("weights.*")]
    files = [file for each in kept for file in (each.rglob("*") if each.is_dir() else [each])]
    return sum(file.stat().st_size for file in files if file.is_file())
