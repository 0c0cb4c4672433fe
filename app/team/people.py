"""Who a visitor is: signed in by Streamlit's own OpenID Connect, or else one nameless person for each session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from sfcore.errors import InputError
from sfcore.names import printable
from sfcore.runs import RunFolder
from sfcore.runs.shipped import ships
from sfcore.serving import serving

_ANONYMOUS = "anonymous"  # where the session keeps who a visitor is who cannot sign in


@dataclass(frozen=True)
class Person:
    """Somebody who visits.

    Attributes:
        id: tells them from all others.
        name: what others see.
    """

    id: str
    name: str

    @property
    def record(self) -> dict[str, str]:
        """For a run's record and the log."""
        return asdict(self)


def signs_in() -> bool:
    """Whether visitors can sign in: the secrets have a section [auth].

    Raises:
        InputError: there are secrets that cannot be read; without an error the server would be open to all.
    """
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    if found := [file for file in st.get_option("secrets.files") if Path(file).exists()]:
        raise InputError(f"{found[0]} cannot be read as TOML, so nobody can sign in: whoever runs the server mends it")
    return False


def is_signed_in() -> bool:
    """Whether this visitor has."""
    return bool(st.user.get("is_logged_in"))


def person() -> Person:
    """This visitor.

    Raises:
        InputError: they can sign in and have not, or their identity provider does not say who they are.
    """
    if not signs_in():
        token = st.session_state.setdefault(_ANONYMOUS, secrets.token_hex(16))
        return Person(f"session {token}", f"anonymous {token[:4]}")
    if not is_signed_in():
        raise InputError("you are not signed in: sign in, then try again")
    claims: dict[str, Any] = dict(st.user)
    if not claims.get("sub"):
        raise InputError("the identity provider does not say who you are (no claim sub): ask who runs the server")
    name = claims.get("email") or claims.get("name") or claims["sub"]
    return Person(f"{claims.get('iss', '')} {claims['sub']}", printable(name))


def owner(run: RunFolder) -> dict[str, str]:
    """Who started a run: id and name; empty for one of whoever runs the server."""
    return dict(run.record().get("owner") or {})


def is_mine(run: RunFolder) -> bool:
    """Whether this visitor may stop, resume, label and delete a run; on one's own machine all are one's own."""
    return is_me(owner(run))


def is_me(whose: Mapping[str, str]) -> bool:
    """Whether this visitor is the owner of something, which is empty for whoever runs the server."""
    return serving() is None or whose.get("id") == person().id


def check_mine(run: RunFolder, doing: str) -> None:
    """Refuse what only a run's owner may do.

    Raises:
        InputError: the run is another's, or ships with the app to a team.
    """
    check_owner(f"run {run.name}", owner(run), doing, ships(run))


def check_owner(what: str, whose: Mapping[str, str], doing: str, shipped: bool = False) -> None:
    """Refuse what only an owner may do.

    Args:
        what: kind and name of what they own.
        whose: as :func:`is_me` has it.
        shipped: whether it is the app's own.

    Raises:
        InputError: it is another's.
    """
    if is_me(whose):
        return
    name = whose.get("name")
    belongs = "ships with the app" if shipped else f"is {name}'s" if name else "is of who runs the server"
    raise InputError(f"the {what} {belongs}, so you cannot {doing} it: start one of your own like it")
