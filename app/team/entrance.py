"""Who comes in: nobody who can sign in and has not, and no more than there is room for."""

from __future__ import annotations

import streamlit as st

from app import style
from app.team import activity, limits
from app.team.people import is_signed_in, person, signs_in
from sfcore.errors import InputError
from sfcore.serving import is_loopback, serving

ICON = ":material/lock:"
_SEEN = "entered"  # whether the log has this session


def admit() -> None:
    """Let a visitor in; the page ends here for whoever must sign in first, or for whom there is no room."""
    if serving() is None:
        if not _only_this_machine():
            st.error("Others reach this server: start it with sfcore app --address A --root DIR.", icon=ICON)
            st.stop()
        return
    try:
        if signs_in() and not is_signed_in():
            st.subheader("Selective Focus Studio", anchor=False)
            st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)
            st.stop()
        limits.take_seat()
        if not st.session_state.get(_SEEN):
            activity.note("enter")
            st.session_state[_SEEN] = True
    except InputError as error:
        style.problem(error, icon=":material/group:")
        st.stop()
    _say_who()


def _say_who() -> None:
    with st.sidebar:
        if signs_in():
            style.note(f"You are {person().name}.")
            st.button("Sign out", type="tertiary", on_click=st.logout)
        else:
            st.caption(
                f"You are {person().name}, for there is no sign-in here. Your runs are yours to stop and delete until "
                "you close or reload this page; others see them."
            )


def _only_this_machine() -> bool:
    """Whether the server listens on this machine alone; by Streamlit's own start it may not."""
    address = st.get_option("server.address")
    return address is None or is_loopback(address)
