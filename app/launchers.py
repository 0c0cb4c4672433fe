"""The choice of where a run is started, of all launchers that there are or that the server offers."""

from __future__ import annotations

import os

import streamlit as st

from app import style
from app.team.places import Place, offered
from sfcore.runs import RunFolder
from sfcore.runs.launcher import LAUNCHERS
from sfcore.serving import serving

ASKED = 10.0  # seconds for which it is believed whether a launcher can be used: pages are drawn again and again


def choose() -> Place:
    """Controls for where the run is started; nothing is drawn where there is no choice."""
    places = {place.title: place for place in offered()}
    if len(places) == 1:
        return Place()
    said = [f"- **{title}**: {about(place)}" for title, place in places.items()]
    chosen = places[
        st.selectbox(
            "Where", list(places), key="t_where", bind="query-params",
            help="What finds a machine for the run. Others than this one must share the runs, images and weights with "
            "it.\n\n" + "\n".join(said),
        )
    ]  # fmt: skip
    return _details(chosen)


def _details(place: Place) -> Place:
    """The address and the cores, where the launcher has any and whoever visits may say."""
    kind = LAUNCHERS[place.name]
    first, second = st.columns([2, 1], gap="small", vertical_alignment="bottom")
    address, cores = place.address, place.cores
    if kind.addresses and serving() is None:
        address = first.text_input("Address", key="t_address", placeholder="the usual", help=kind.addresses).strip()
    if kind.gives_cores:
        cores = int(second.number_input("Cores", 1, 1024, 1, key="t_cores", help="Of a processor, for this run."))
    return Place(place.name, address or None, cores)


def blocked(place: Place) -> bool:
    """Whether nothing can be started there; says why."""
    if why := refusal(place):
        st.warning(f"{why[0].upper()}{why[1:]}.", icon=":material/lan:")
    return bool(why)


def about(place: Place) -> str:
    """What a launcher's class says of it, and why it cannot be used where it cannot."""
    said, why = (LAUNCHERS[place.name].__doc__ or place.name).splitlines()[0], refusal(place)
    return f"{said} Not now: {why}." if why else said


def refusal(place: Place) -> str | None:
    """Why nothing can be launched there, as of a few seconds ago."""
    return _refusal(place.name, place.address, os.environ.get("PATH"))


@st.cache_data(ttl=ASKED, show_spinner=False)
def _refusal(name: str, address: str | None, path: str | None) -> str | None:
    return LAUNCHERS[name](address).refusal()


def fill_from(run: RunFolder) -> None:
    """Fill the controls with where a run was started, if that is offered."""
    place = Place.of(run)
    for each in offered():
        if each.name == place.name and (serving() is None or each.address == place.address):
            st.session_state.update({"t_where": each.title, "t_address": place.address or "", "t_cores": place.cores})


def where(run: RunFolder) -> str:
    """Which launcher and which machine a run has, or had last; "" before any."""
    record = run.record()
    named = record.get("launcher")
    return " · ".join(filter(None, (named, record.get("node")))) if named else ""


def say_where(run: RunFolder) -> None:
    """What became of a run on other machines."""
    record = run.record()
    if record.get("job"):
        style.note(f"By {where(run)}, job {record['job']}.")
    if broken := record.get("interruptions"):
        times = "once" if len(broken) == 1 else f"{len(broken)} times"
        style.note(f"Broken off {times}, at last on {broken[-1].get('node')}: {broken[-1].get('why')}.")
