"""Deploy: files for the engines that run a network, and whether these predict what the simulation promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import results, run_panel, sources, style
from app.deployment import Bundle, Leaving, checked, choose, exported
from app.displays import agreement_columns, chart, picture
from app.scheme import in_markdown, say_cost
from app.session import Studio, studio
from sfcore.datasets.dataset import Frame, spread
from sfcore.deployment.latency import TIMED
from sfcore.deployment.parity import LESS_F1, MORE_DISTORTION, SIMULATION, SOME_DISTORTION, Parity
from sfcore.deployment.subjects import USUAL, Choice
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.export.base import DYNAMIC, EXPORTERS, parse_batch
from sfcore.export.files import EXAMPLE, MANIFEST
from sfcore.present.figures.deployment import BROKEN, KINDS, THREADS, latency, noise_floor
from sfcore.quant import Scheme
from sfcore.registries import Registry
from sfcore.runs import RunFolder

FRAMES = 16  # that engines are checked on unless more are asked for
# What became of a promise.
PROMISED, KEPT, IN_NOISE, NOT_KEPT, FAILED = "promised", "kept", "within noise", "not kept", "does not run"


def boxes(registry: Registry[Any], prefix: str) -> list[str]:
    """A checkbox for everything in a registry, each in the link; returns what is ticked."""
    with st.container(horizontal=True, gap="small", width="content"):
        return [
            name for name in registry
            if st.checkbox(
                name, True, key=f"{prefix}_{name}", bind="query-params", width="content", help=meaning(registry[name])
            )
        ]  # fmt: skip


def meaning(thing: object) -> str | None:
    """What a registered thing says of itself in one line."""
    return next(iter((thing.__doc__ or "").strip().splitlines()), None)


def export_options() -> Choice:
    """Opset and batch; what cannot be written is said when it is tried."""
    with st.expander("Options", icon=":material/tune:"):
        first, second = st.columns(2)
        opset = first.number_input(
            "Opset", 1, value=USUAL.opset, key="d_opset", bind="query-params", help="Version of ONNX's operators."
        )
        batch = second.selectbox(
            "Batch", (str(USUAL.batch), DYNAMIC), key="d_batch", bind="query-params", accept_new_options=True,
            help=f"How many images a file takes at once: a number, or {DYNAMIC} for any.",
        )  # fmt: skip
    return Choice(int(opset), parse_batch(str(batch)))


def about(view: Studio, leaving: Leaving) -> None:
    """What leaves, and what it costs."""
    if isinstance(leaving.origin, RunFolder):
        run = leaving.origin
        st.markdown(run_panel.summary(run))
        if cost := results.cost(run):
            style.note(f"{cost}.")
        style.in_full_precision(run.record().get("full_precision", {}))
    else:
        count = sources.count(len(leaving.origin.images), "image")
        scheme = Scheme.parse(leaving.origin.scheme)
        st.markdown(f"{view.choice.name} · {in_markdown(scheme)} · calibrated here on {count}, not tuned")
        say_cost(view.choice, scheme)


def promise(view: Studio, leaving: Leaving) -> None:
    """The shown image as the simulation sees it."""
    try:
        if moved := leaving.moved(view):
            drawn = view.task.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
            alt = f"{view.words.plural.capitalize()} in full precision and quantized, as engines are to find them"
            picture(drawn, key="promise", alt=alt, caption="What the simulation promises: engines are to find the same")
            style.moved_legend(view.task, "quantized")
    except InputError as error:
        style.problem(error, icon=":material/error:")


@st.fragment
def files(leaving: Leaving) -> None:
    """The choice of formats, and once they are made the files; only this is rerun meanwhile."""
    st.subheader("Files", anchor=False)
    try:
        formats, choice = boxes(EXPORTERS, "d_as"), export_options()
        made = exported(leaving, formats, choice, make=False)
        if st.button("Export", type="primary", icon=":material/file_export:", key="d_export"):
            made = exported(leaving, formats, choice, make=True)
        if made:
            download(leaving, made)
        else:
            style.note(
                "Each format is a file or two. Beside them a manifest says what they are, and a program runs one."
            )
    except InputError as error:
        style.problem(error, icon=":material/error:")


def download(leaving: Leaving, made: Bundle) -> None:
    """The files as a table, and all of them to save."""
    rows = [
        {"File": name, "Format": kind, "Size (kB)": size / 1e3, "Of full precision": 100 * size / made.full_bytes}
        for name, kind, size in made.files
    ]
    columns = {
        "Size (kB)": st.column_config.NumberColumn(format="%.0f"),
        "Of full precision": st.column_config.NumberColumn(
            format="%.0f %%", help="Share of the bytes that the parameters have as floating-point numbers."
        ),
    }
    st.dataframe(pd.DataFrame(rows), column_config=columns, hide_index=True)
    for said in made.notes:
        style.note(f"{said[0].upper()}{said[1:]}.")
    st.download_button(
        f"Save all ({len(made.zipped) / 1e6:.1f} MB)", made.zipped, f"{leaving.name}.zip", "application/zip",
        icon=":material/download:", on_click="ignore", key="d_save",
        help=f"The files, {MANIFEST}, and {EXAMPLE} where there is a file that it can run.",
    )  # fmt: skip


@st.fragment
def engines(view: Studio, leaving: Leaving) -> None:
    """The choice of engines, and once they are checked what they predict; only this is rerun meanwhile."""
    st.subheader("Engines", anchor=False)
    try:
        frames = leaving.unseen(view.frames)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
            chosen, some = boxes(ENGINES, "d_in"), frames_to_check(frames)
            asked = st.button(
                "Check engines", type="primary", icon=":material/fact_check:", key="d_check", disabled=not chosen
            )
        found = checked(leaving, chosen, some, make=asked)
        if found:
            verdicts(found)
            predictions(view, found)
            speed(found)
        else:
            style.note(
                "Runs the exported network in each engine, and the simulation in other orders of summing, on these "
                "frames: a minute or so."
            )
    except InputError as error:
        style.problem(error, icon=":material/error:")


def frames_to_check(frames: Sequence[Frame]) -> list[Frame]:
    """Evenly spaced ones of the frames."""
    most = len(frames)
    usual = min(FRAMES, most)
    if st.session_state.get("d_frames", usual) > most:  # chosen for other images
        st.session_state["d_frames"] = usual
    count = most if most == 1 else st.number_input(
        f"Frames, of {most:,}", 1, most, usual, key="d_frames", bind="query-params", width=160,
        help="How many of the images in the sidebar are run, evenly spaced.",
    )  # fmt: skip
    return spread(frames, int(count))


def verdicts(found: Parity) -> None:
    """A sentence about each engine."""
    words = [word(found, name) for name in found.engines if name != SIMULATION]
    kept = [each != NOT_KEPT for each in words] + [False] * len(found.failed)
    for said, good in zip(found.verdicts(), kept, strict=True):
        (st.success if good else st.warning)(said, icon=":material/check:" if good else ":material/warning:")


def word(found: Parity, engine: str) -> str:
    """What became of the promise in an engine."""
    if engine == SIMULATION:
        return PROMISED
    if found.keeps(engine):
        return KEPT
    return IN_NOISE if found.within_noise(engine) else NOT_KEPT


def parity_table(view: Studio, found: Parity) -> pd.DataFrame:
    """Agreement with full precision, engine by engine; those that do not run have no numbers."""
    shift = f"Shift ({view.words.unit})"
    rows = [
        {"": name, "Agreement": each.f1, "Distortion": each.distortion, shift: each.shift, "Promise": word(found, name)}
        for name, each in found.engines.items()
    ]
    return pd.DataFrame([*rows, *({"": name, "Promise": FAILED} for name in found.failed)])


def predictions(view: Studio, found: Parity) -> None:
    """Agreement with full precision, and beside it the noise that no engine can be asked to stay below."""
    left, right = st.columns([1.15, 1], gap="large")
    with left:
        st.markdown(f"**Against full precision, on {sources.count(found.images, 'frame')}**")
        marked = parity_table(view, found).style.apply(shaded, axis=1).format("{:.3f}", "Agreement", na_rep="–")
        shown = marked.format("{:.2f}", ["Distortion", f"Shift ({view.words.unit})"], na_rep="–")
        st.dataframe(shown, column_config=agreement_columns(view.task), hide_index=True)
        style.note(
            f"Kept: a distortion at most {style.percent(MORE_DISTORTION)} or {SOME_DISTORTION:g} above the "
            f"simulation's, and an agreement at most {LESS_F1:g} below."
        )
    with right:
        own_noise(found)


def own_noise(found: Parity) -> None:
    """Each engine's distortion beside how far the simulation lies from itself."""
    st.markdown(
        "**Beside the simulation's own noise**",
        help="The same quantized network with its sums in another order, number format or thread count: where "
        "rounding flips, predictions move. No engine can be asked to come closer than that.",
    )
    ways = {**found.engines, **{f"itself, other {name}": each for name, each in found.repeatability.items()}}
    table = pd.DataFrame([{"way": name, "distortion": each.distortion} for name, each in ways.items()])
    alt = "Distortion of each engine against full precision, and of the simulation against itself"
    chart(noise_floor(found), key="noise floor", alt=alt, table=table)
    style.note("The band: as far around the simulation as it lies from itself, computed in another way.")


def shaded(row: pd.Series) -> list[str]:
    """The colour of what does not keep its promise; the word stands there, too."""
    return [f"background-color: {BROKEN}38" if row["Promise"] in (NOT_KEPT, FAILED) else ""] * len(row)


def speed(found: Parity) -> None:
    """How long an image takes in each engine, and how large the file is."""
    st.markdown("**Time of one image, and size**")
    rows = [
        {"engine": name, "network": kind, "threads": threads, **found.latency[name][kind + suffix].to_dict()}
        for name in found.latency for kind in KINDS for suffix, threads in THREADS.items()
    ]  # fmt: skip
    alt = "Milliseconds of an image by engine, quantized and in full precision, with one thread and with all"
    chart(latency(found), key="latency", alt=alt, table=pd.DataFrame(rows))
    quantized, full = found.bytes["onnx"], found.bytes["onnx-fp32"]
    style.note(
        f"Median of {TIMED} runs on this machine, whiskers up to the 95th percentile; other hardware differs. The "
        f"quantized file has {quantized / 1e6:.2f} MB, {style.percent(quantized / full)} of that in full precision."
    )


view = studio()
style.page(
    "Deploy",
    f"Files for the engines that will run the network, and whether they find the same {view.words.plural} there.",
)
leaving = choose(view)
left, right = st.columns([1, 1.15], gap="large")
with left:
    about(view, leaving)
    files(leaving)
with right:
    promise(view, leaving)
engines(view, leaving)
