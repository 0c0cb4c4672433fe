"""Tune: quantize the detector and tune it without labels, in a process of its own."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import streamlit as st
import torch

from app import live, options, results, style
from app.figures import runs as pictures
from app.session import Studio, outputs_of_all, studio
from sfcore.datasets.images import evenly
from sfcore.errors import InputError
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.likeness import NEARLY_ALIKE, likeness
from sfcore.quant.methods import methods
from sfcore.quant.scheme import Scheme
from sfcore.runs import RunFolder, RunSpec, default_root, launch, stop

PLOT = {"displayModeBar": False}
COMPARED = 16  # images whose likeness is measured
SCHEMES = ["W8A8", "W8A4", "W4A4"]
STATUS = {
    "queued": ("Queued", "gray"), "running": ("Running", "blue"), "stopped": ("Stopped", "orange"),
    "done": ("Done", "green"), "failed": ("Failed", "red"),
}  # fmt: skip


def settings(view: Studio) -> tuple[RunSpec, bool]:
    """All choices of a run, and whether it shall start now."""
    bits = st.selectbox(
        "Bits", SCHEMES, index=2, key="t_bits", bind="query-params", accept_new_options=True,
        help="W4A4 is 4 bits for weights and 4 for activations. Type others, from 2 to 16. "
        "First and last layers keep 8.",
    )  # fmt: skip
    scheme, how = calibration(Scheme.parse(bits))
    known = methods()
    names = list(known)
    preferred = names.index("lane-focus") if "lane-focus" in names else len(names) - 1
    name = st.selectbox(
        "Method", names, index=preferred, key="t_method", bind="query-params",
        format_func=lambda n: known[n].title, help="What is minimised, and on which heads.",
    )  # fmt: skip
    style.note(f"{known[name].summary} ({known[name].source})")
    chosen = options.draw(known[name], len(view.detector.heads))
    first, second = st.columns(2, gap="small", vertical_alignment="bottom")
    with first:
        limit = st.number_input(
            "Images", 1, 5000, min(len(view.images), 512), key="t_limit", bind="query-params",
            help=f"Calibration images, taken evenly from the {len(view.images)} of the sidebar. The paper takes 512. "
            "No labels are needed.",
        )  # fmt: skip
    with second:
        seed = st.number_input(
            "Seed", 0, 9999, 0, key="t_seed", bind="query-params", help="The same seed gives the same result."
        )
    devices = ["auto", "cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    device = st.segmented_control(
        "Device", devices, default="auto", required=True, key="t_device", bind="query-params",
        help="auto takes a GPU where there is one.",
    )  # fmt: skip
    start = st.button("Start the run", type="primary", icon=":material/play_arrow:", width="stretch")
    images = view.sources(int(limit))
    weights = str(view.choice.weights) if view.choice.weights else None
    return RunSpec(
        view.choice.name, images, str(scheme), name, weights, chosen, min(int(limit), len(view.images)), int(seed),
        device, *how,
    ), start  # fmt: skip


def calibration(scheme: Scheme) -> tuple[Scheme, tuple[str, str, bool]]:
    """What comes before any tuning: the scheme's grids, the calibrators of weights and activations, bias correction."""
    with st.expander("Calibration", icon=":material/straighten:"):
        first, second = st.columns(2, gap="small", vertical_alignment="bottom")
        with first:
            weights = calibrator("Weights", WEIGHTS, "each weight, from its values")
        with second:
            activations = calibrator("Activations", ACTIVATIONS, "each activation, from the calibration images")
        per_tensor = st.checkbox(
            "One step size a weight", scheme.per_tensor, key="t_tensor", bind="query-params",
            help="Instead of one for each output channel: all hardware can do it, and it costs accuracy.",
        )  # fmt: skip
        affine = st.checkbox(
            "Zero points of activations", scheme.affine, key="t_affine", bind="query-params",
            help="Affine quantization: the integers need not lie evenly around 0, which helps where most values are "
            "on one side of it. Off, as published: symmetric.",
        )  # fmt: skip
        corrected = st.checkbox(
            "Correct biases", True, key="t_corrected", bind="query-params",
            help="Remove the mean error of each layer's output. Mends regressions; may harm sparse heat maps.",
        )  # fmt: skip
    return replace(scheme, per_tensor=per_tensor, affine=affine), (weights, activations, corrected)


def calibrator(label: str, default: str, what: str) -> str:
    """The choice of a calibrator; its help text lists what each one's file says of it."""
    names = CALIBRATORS.names()
    known = "\n".join(
        f"- {(sys.modules[CALIBRATORS[name].__module__].__doc__ or name).splitlines()[0]}" for name in names
    )
    return st.selectbox(
        label, names, index=names.index(default), key=f"t_{label.lower()}", bind="query-params",
        help=f"What finds the range of {what}; what lies beyond it is clipped.\n\n{known}",
    )  # fmt: skip


def warn_if_alike(view: Studio) -> None:
    """Frames of one clip are nearly alike: a model tuned on them learns the clip, not the road."""
    count = min(len(view.images), COMPARED)
    some = evenly(view.images, count)
    found = likeness(view.detector.decode(outputs_of_all(view, some)))
    if found > NEARLY_ALIKE:
        st.warning(
            f"The lanes of these images are much alike ({style.percent(found)}). The run will learn them and may be "
            "worse on other roads: add images of other roads and cameras.",
            icon=":material/content_copy:",
        )


def begin(view: Studio, spec: RunSpec) -> None:
    """Create the run and start its process; uploads move into its folder, for they end with the session."""
    name = f"{spec.detector}-{spec.scheme.lower()}-{spec.method}-{time.strftime('%m%d-%H%M%S')}"
    path = default_root() / name
    if view.uploaded:
        kept = path / "images"
        kept.mkdir(parents=True)
        for place, image in enumerate(view.images):
            shutil.copy(image, kept / f"{place:04d}-{image.name}")
        spec = RunSpec(**{**spec.to_dict(), "images": (str(kept),)})
    if view.choice.weights is not None and view.choice.uploaded:
        path.mkdir(parents=True, exist_ok=True)
        weights = Path(shutil.copy(view.choice.weights, path / f"weights{view.choice.weights.suffix}"))
        spec = RunSpec(**{**spec.to_dict(), "images": tuple(spec.images), "weights": str(weights)})
    spec.validate()
    launch(RunFolder.create(path, spec))
    st.session_state["run"] = name
    st.toast(f"Started {name}", icon=":material/play_arrow:")


def summary(run: RunFolder) -> str:
    """What the run was asked to do, in one line."""
    spec, chosen = run.spec, results.settings(run)
    parts = [spec.detector, spec.scheme, spec.method]
    parts += [f"{sign} {chosen[name]:g}" for name, sign in (("k", "k"), ("lam", "λ")) if chosen.get(name)]
    if count := run.record().get("images"):
        parts.append(f"{count} images")
    return " · ".join(parts)


def header(run: RunFolder) -> bool:
    """Status, stop or resume; returns whether the run goes on."""
    status = run.status
    alive = status in ("running", "queued") and run.is_alive()
    left, right = st.columns([4, 1], vertical_alignment="center")
    word, colour = STATUS[status]
    left.markdown(f":{colour}-badge[{word}] {summary(run)}")
    if alive and right.button(
        "Stop", icon=":material/stop:", width="stretch", help="After the present step. It can be resumed."
    ):
        stop(run)
        st.toast("The run stops after its present step.")
    if (
        not alive
        and status in ("stopped", "failed", "queued")
        and right.button(
            "Resume", icon=":material/play_arrow:", width="stretch", help="Goes on from the last checkpoint."
        )
    ):
        launch(run)
        st.rerun()
    if error := run.record().get("error"):
        st.error(error)
    return alive


def progress(told: live.Story, alive: bool) -> None:
    """How far the run is."""
    if not alive:
        return
    if not told.total:
        st.progress(0.0, "Starting")
        return
    share = told.done / told.total
    left = f", {style.duration(told.seconds_left)} left" if told.seconds_left is not None else ""
    st.progress(min(share, 1.0), f"{told.phase.capitalize()}: {told.done:,} of {told.total:,}{left}")


def outcome(run: RunFolder) -> None:
    """The run's own result, once it has one."""
    found = results.figures(run)
    if not found:
        return
    columns = st.columns(4)
    for place, (key, label, digits) in enumerate((("f1", "F1", 3), ("distortion", "Distortion", 2))):
        for offset, name in enumerate(("calibrated", "tuned")):
            value = found.get(name, {}).get(key)
            columns[2 * place + offset].metric(f"{label}, {name}", "none" if value is None else f"{value:.{digits}f}")
    style.note("On the run's held-back images. Judge it on other roads and cameras, on the Compare page.")
    st.page_link("../pages/compare.py", label="Compare its lanes", icon=":material/compare:")


def charts(told: live.Story, order: list[str]) -> None:
    """Losses, noise levels and selection."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Loss**")
        st.plotly_chart(pictures.losses(told.loss), config=PLOT, key="loss", alt="Loss over iterations")
    with right:
        if told.held_back[0]:
            st.markdown("**Distortion on held-back images**")
            st.plotly_chart(
                pictures.held_back(told.held_back), config=PLOT, key="held", alt="Distortion over iterations"
            )
        elif told.noise:
            st.markdown("**Noise level of each head**")
            st.plotly_chart(
                pictures.noise_over_time(told.noise, order),
                config=PLOT,
                key="noise",
                alt="Noise levels over iterations",
            )
    if told.held_back[0] and told.noise:
        st.markdown("**Noise level of each head**")
        st.plotly_chart(
            pictures.noise_over_time(told.noise, order), config=PLOT, key="noise", alt="Noise levels over iterations"
        )
    if told.selected:
        st.markdown("**Heads tuned on**", help="The most sensitive heads are selected anew every so often.")
        st.plotly_chart(
            pictures.selection_timeline(told.selected, order),
            config=PLOT,
            key="selection",
            alt="Selected heads over iterations",
        )


def watch() -> None:
    """The chosen run, redrawn every two seconds while one goes on."""
    found = {run.name: run for run in results.runs()}
    if not found:
        st.info(
            "No runs yet. Choose bits and a method, then start one; its progress appears here.", icon=":material/tune:"
        )
        return
    results.forget_unknown("run", list(found))
    name = st.selectbox("Run", list(found), key="run", bind="query-params", help="Newest first.")
    order = results.heads_of(found[name].spec.detector)
    every = "2s" if found[name].is_alive() else None

    @st.fragment(run_every=every)
    def present() -> None:
        run = found[name]
        try:
            alive = header(run)
            told = live.story(live.events(run))
            progress(told, alive)
            outcome(run)
            if told.loss[0]:
                charts(told, order)
            elif alive:
                style.note("Losses appear with the first step of tuning.")
        except InputError as error:
            st.error(str(error))
            return
        if every and not alive:
            st.rerun()

    present()


view = studio()
style.page("Tune", "Quantize the detector, then tune it on unlabelled images. The run goes on when you close this tab.")
left, right = st.columns([1, 2], gap="large")
with left, st.container(border=True):
    try:
        spec, start = settings(view)
        warn_if_alike(view)
        if start:
            begin(view, spec)
    except InputError as error:
        st.error(str(error))
with right:
    watch()
