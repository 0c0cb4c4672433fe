"""Tour: six steps from what quantization does to lanes, over who is to blame, to lanes that are in place again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import streamlit as st

from app import results, style
from app.displays import chart
from app.tour import LEVEL, STEP, Tour, how_few
from app.widgets import projector
from app.widgets.compare_slider import compare_slider
from app.widgets.links import open_page
from sfcore import drawing
from sfcore.present.figures import curves, runs

CHART, PROJECTED_CHART = 430, 720  # pixels of height


@dataclass(frozen=True)
class Words:
    """What stands beside a picture.

    Attributes:
        number, caption: the one number that matters, and what it is.
        text: two sentences.
        link: what one can do oneself.
        page: where.
        query: the state of that page.
        needs_run: whether that page looks at the tour's run.
    """

    number: str
    caption: str
    text: str
    link: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)
    needs_run: bool = False


def broken(shown: Tour) -> Words:
    """Step 1: the lanes of the quantized detector."""
    drawn = shown.draw(shown.moved("calibrated"))
    st.image(drawing.jpeg(drawn, 90), width="stretch", alt="The road with the lanes at full precision and at 4 bits")
    style.moved_legend(shown.view.task, "4 bits")
    kept, all_lanes = shown.in_place("calibrated")
    return Words(
        f"{kept} of {all_lanes}",
        "lanes are still where they were",
        "To run on a small chip, the numbers in this network were rounded to 4 bits each, the plainest way. It still "
        "sees the road, but its lanes bend, jump or end too soon.",
        "See the lanes at full precision", "overview",
    )  # fmt: skip


def head(shown: Tour) -> Words:
    """Step 2: the same noise on each head."""
    st.image(drawing.jpeg(shown.heads(), 90), width="stretch", alt="The road, with the same noise on each head in turn")
    style.moved_legend(shown.view.task, "with noise")
    scores = shown.scores()
    worst, calmest = next(iter(scores)), min(scores, key=lambda name: scores[name])
    return Words(
        f"{scores[worst]:.1f}",
        f"distortion from {style.level_text(LEVEL)} noise on {worst}",
        "A detector has several outputs, its heads, and here each got the same small noise in turn. On "
        f"{worst} it moves all lanes; {calmest} hardly notices.",
        "Move the noise yourself", "heads", {"head": worst, "level": style.level_text(LEVEL)},
    )  # fmt: skip


def pixels(shown: Tour) -> Words:
    """Step 3: the cells of the worst head."""
    worst = next(iter(shown.scores()))
    cells = shown.cells(worst).numpy()
    st.image(drawing.jpeg(shown.cell_picture(worst)), width="stretch", alt=f"Element map of {worst} over the road")
    style.note("The brighter a cell, the further the lanes move when it alone is nudged.")
    return Words(
        f"{how_few(cells)} of {cells.size}",
        f"cells of {worst} carry 90 % of the damage",
        "Not every place counts: the lanes hang on a few cells, and errors elsewhere do nothing. A remedy has to look "
        "at those few and may forget the rest.",
        "Put noise on chosen cells", "pixels",
        {"head": worst, "level": style.level_text(STEP)},
    )  # fmt: skip


def measured(shown: Tour) -> Words:
    """Step 4: noise–score curves, and where 4 bits stand on them."""
    found, standing = shown.curves(), shown.noise("calibrated")
    worst = max(standing, key=lambda name: found.curves[name](standing[name]))
    figure = curves.noise_score(found, standing={"calibrated": standing}, height=chart_height())
    chart(figure, key="tour-curves", alt="Noise–score curves of all heads, with the noise that 4 bits leave on each")
    return Words(
        style.level_text(standing[worst]),
        f"noise is what 4 bits leave on {worst}",
        "Each line is a head: the more noise, the further the lanes move. The diamonds are this network at 4 bits, and "
        f"the highest of them, on {worst}, says where tuning must begin.",
        "Measure curves of your own", "curves",
    )  # fmt: skip


def tuned(shown: Tour) -> Words:
    """Step 5: the run."""
    history, spec = results.history(shown.run), shown.run.spec
    figure = runs.held_back(history.held_back, chart_height())
    chart(figure, key="tour-run", alt="Distortion on held-back roads while the run goes on")
    steps, values = history.held_back
    return Words(
        f"{values[0]:.0f} → {min(values):.0f}",
        f"distortion on roads held back, in {steps[-1]:,.0f} steps",
        "Selective Focus tunes the 4-bit network on the heads that hurt most, and counts errors where the lanes are. "
        "It needs pictures of roads, no labels, and keeps the best state it finds.",
        "Tune a detector", "tune", {"t_bits": spec.scheme, "t_method": "Selective Focus"},
    )  # fmt: skip


def repaired(shown: Tour) -> Words:
    """Step 6: before and after."""
    left, right = (drawing.jpeg(shown.draw(shown.moved(which)), 90) for which in ("calibrated", "tuned"))
    compare_slider(left, right, "4 bits", "4 bits, tuned", key="tour-slider")
    style.moved_legend(shown.view.task, "4 bits")
    before, after = shown.agreement("calibrated"), shown.agreement("tuned")
    return Words(
        f"{100 * before.recall:.0f} → {100 * after.recall:.0f} %",
        f"of the lanes of {after.images} roads are in place",
        "Drag the divider: the same 4 bits, the same road, lanes in place again. None of these roads was used to tune "
        "the network.",
        "Compare frame by frame", "compare", needs_run=True,
    )  # fmt: skip


STEPS: dict[str, tuple[str, Callable[[Tour], Words]]] = {
    "Broken": ("Four bits break the lanes", broken),
    "Head": ("One head is to blame", head),
    "Pixels": ("A few pixels carry it", pixels),
    "Curves": ("How much is too much", measured),
    "Tuned": ("Tuned where it hurts", tuned),
    "Repaired": ("The lanes are in place again", repaired),
}


def chart_height() -> int:
    """Of a chart, so that a step fits the screen."""
    return PROJECTED_CHART if projector.on() else CHART


def open_step(step: str) -> None:
    """To another step; for use as a callback."""
    st.session_state["step"] = step


def steps() -> str:
    """Back, the six steps, Next; the arrow keys do the same. Returns the present step."""
    names = list(STEPS)
    with st.container(key="sf-steps"):
        first, middle, last = st.columns([1, 6, 1], vertical_alignment="center")
        step = middle.segmented_control(
            "Step", names, default=names[0], required=True, key="step", bind="query-params", width="stretch",
            label_visibility="collapsed",
        )  # fmt: skip
        place = names.index(step)
        first.button(
            "Back", key="back", disabled=place == 0, shortcut="Left", width="stretch",
            on_click=open_step, args=(names[max(place - 1, 0)],),
        )  # fmt: skip
        last.button(
            "Next", key="next", type="primary", disabled=place == len(names) - 1, shortcut="Right", width="stretch",
            on_click=open_step, args=(names[min(place + 1, len(names) - 1)],),
        )  # fmt: skip
    return step


def explanation(title: str, words: Words, shown: Tour) -> None:
    """The number, the two sentences, and the way to the page."""
    st.title(title, anchor=False)
    style.key_number(words.number, words.caption)
    style.text(words.text)
    query = {"detector": shown.view.choice.name, "image": shown.view.image.name, **words.query}
    if not words.needs_run:
        st.page_link(f"../pages/{words.page}.py", label=words.link, icon=":material/arrow_outward:", query_params=query)
    elif st.button(words.link, icon=":material/arrow_outward:", type="tertiary", on_click=choose_run, args=(shown,)):
        open_page(words.page)


def choose_run(shown: Tour) -> None:
    """Choose the run, with its detector and the road; for use as a callback."""
    results.put_in_sidebar(shown.run)
    st.session_state.update({"images": "Samples", "image": shown.view.image.name})


shown = Tour.open()
style.hide_controls()
title, draw = STEPS[steps()]
left, right = st.columns([3.4 if projector.on() else 2.5, 1], gap="large")
with left:
    words = draw(shown)
with right:
    explanation(title, words, shown)
