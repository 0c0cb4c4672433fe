"""The app's entry point: ``streamlit run app/main.py``, or ``sfcore app``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit puts only this file's own folder there
    sys.path.insert(0, str(HERE.parent))

import streamlit as st  # noqa: E402

from app import results, sidebar, style  # noqa: E402
from app.team import entrance  # noqa: E402
from app.widgets import links, projector  # noqa: E402
from app.widgets.copy_link import copy_link  # noqa: E402
from sfcore.errors import InputError  # noqa: E402
from sfcore.present import LOGO  # noqa: E402

PAGES = {
    "overview": ("Overview", ":material/home:"),
    "tour": ("Tour", ":material/route:"),
    "heads": ("Heads", ":material/blur_on:"),
    "pixels": ("Pixels", ":material/grid_on:"),
    "curves": ("Curves", ":material/show_chart:"),
    "layers": ("Layers", ":material/layers:"),
    "tune": ("Tune", ":material/tune:"),
    "compare": ("Compare", ":material/compare:"),
    "deploy": ("Deploy", ":material/rocket_launch:"),
    "runs": ("Runs", ":material/history:"),
}
EXAMPLES = ("compare", "deploy")  # pages that are about a run

icon = str(HERE / "static" / "icon.svg")
st.set_page_config(page_title="Selective Focus Studio", page_icon=icon, layout="wide")
st.logo(str(LOGO), size="large", icon_image=icon)
page = st.navigation(
    [
        st.Page(f"../pages/{file}.py", title=title, icon=symbol, url_path=file, default=file == "overview")
        for file, (title, symbol) in PAGES.items()
    ]
)
style.apply(projector.on())
entrance.admit()
links.drop_impossible()
if page.url_path in EXAMPLES:
    results.open_example()  # to a newcomer, before the sidebar is drawn, for it holds the example's detector
sidebar.draw()
with st.container(key="sf-projecting") if projector.on() else st.sidebar:
    projector.button()
if not projector.on():
    with st.sidebar:
        copy_link()
try:
    page.run()
except InputError as error:
    style.problem(error, icon=":material/error:")
