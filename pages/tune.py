"""Tune: quantize the detector and tune it without labels, in a process of its own; or search for what does it best."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
import torch

from app import launchers, options, results, search_form, search_panel, style
from app.run_estimate import forecast
from app.run_panel import panel
from app.scheme import choose, say_cost
from app.search_panel import RUN, SEARCH, WHAT
from app.session import Studio, outputs_of_all, studio
from app.team import actions, limits
from app.team.places import Place, check_offered
from app.widgets.links import keep
from sfcore.datasets.images import evenly
from sfcore.errors import InputError
from sfcore.quant.calibrate import ACTIVATIONS, WEIGHTS
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.methods import methods
from sfcore.quant.scheme import Scheme
from sfcore.quant.targets import TARGETS
from sfcore.quant.transforms import TRANSFORMS, beyond_usual, with_usual
from sfcore.runs import RunSpec, ahead
from sfcore.search.folder import Search
from sfcore.search.work import check
from sfcore.tasks.likeness import NEARLY_ALIKE, likeness

COMPARED = 16  # images whose likeness is measured
FEW = 16  # images below which ranges are a matter of luck, see docs/cameras.md


def settings(view: Studio) -> RunSpec:
    """All choices of a run."""
    bits = choose()
    say_cost(view.choice, bits)
    scheme, how, transforms = calibration(bits)
    known = methods()
    names = list(known)
    preferred = names.index("best") if "best" in names else len(names) - 1
    name = st.selectbox(
        "Method", names, index=preferred, key="t_method", bind="query-params",
        format_func=lambda n: known[n].title, help="What is minimised, and on which heads.",
        on_change=options.take_up, args=(len(view.detector.heads),),
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
    if limit < FEW:
        style.note(
            f"Fewer than {FEW} images make ranges a matter of luck: draws of 4 differed by .04 to .09 in F1 (published "
            "LSTR, W8A8)."
        )
    images = view.sources(int(limit))
    weights = str(view.choice.weights) if view.choice.weights else None
    return RunSpec(
        view.choice.name, images, str(scheme), name, weights, chosen, min(int(limit), len(view.images)), int(seed),
        device(), *how, view.choice.key, transforms,
    )  # fmt: skip


def device() -> str:
    """Where the run works; asked only where there is a choice."""
    if not torch.cuda.is_available():
        return "auto"
    return st.segmented_control(
        "Device", ("auto", "cpu", "cuda"), default="auto", required=True, key="t_device", bind="query-params",
        help="auto takes a GPU where there is one.",
    )  # fmt: skip


def calibration(scheme: Scheme) -> tuple[Scheme, tuple[str, str, bool], tuple[str, ...]]:
    """What comes before any tuning: the scheme's grids, the calibrators of weights and activations, bias correction,
    transforms."""
    with st.expander("Calibration", icon=":material/straighten:"):
        first, second = st.columns(2, gap="small", vertical_alignment="bottom")
        with first:
            weights = calibrator("Weights", WEIGHTS, "each weight, from its values")
        with second:
            activations = calibrator("Activations", ACTIVATIONS, "each activation, from the calibration images")
        transforms = chosen_transforms()
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
            help="Remove the mean error of each layer's output, if what is found in these images is better for it.",
        )  # fmt: skip
        target, adds = chosen_target(scheme)
    scheme = replace(scheme, per_tensor=per_tensor, affine=affine, adds=adds, target=target)
    return scheme, (weights, activations, corrected), transforms


def chosen_target(scheme: Scheme) -> tuple[str, bool]:
    """What the model is to run on, and whether residual adds are quantized."""
    first, second = st.columns(2, gap="small", vertical_alignment="bottom")
    names = ("", *TARGETS)
    target = first.selectbox(
        "Target", names, index=names.index(scheme.target), key="t_target", bind="query-params",
        format_func=lambda name: name or "none",
        help="What will run the tuned network: it is simulated as that will compute, int32 biases included, so that "
        "tuning happens on what will run. " + " ".join(f"**{name}**: {TARGETS[name].description}" for name in TARGETS),
    )  # fmt: skip
    adds = second.checkbox(
        "Quantize residual adds", scheme.adds, key="t_adds", bind="query-params",
        help="Round both inputs of residual adds, too, as some engines do; OpenVINO needs it for transformers.",
    )  # fmt: skip
    return target, adds


def calibrator(label: str, default: str, what: str) -> str:
    """The choice of a calibrator; its help text lists what each one's file says of it."""
    names = CALIBRATORS.names()
    return st.selectbox(
        label, names, index=names.index(default), key=f"t_{label.lower()}", bind="query-params",
        help=f"What finds the range of {what}; what lies beyond it is clipped.\n\n"
        + "\n".join(f"- {first_line(CALIBRATORS[name])}" for name in names),
    )  # fmt: skip


def chosen_transforms() -> tuple[str, ...]:
    """The transforms of the run, in the order in which they are chosen, after the usual ones."""
    names = beyond_usual(TRANSFORMS.names())
    chosen = st.multiselect(
        "Transforms", names, key="t_transforms", bind="query-params", placeholder="none",
        help="What is done to the network against outliers, in this order; in full precision it computes the same.\n\n"
        + "\n".join(f"- **{name}**: {(TRANSFORMS[name].__doc__ or name).splitlines()[0]}" for name in names),
    )  # fmt: skip
    return with_usual(chosen)


def first_line(thing: Any) -> str:
    """What the file of a thing that registered itself says of it."""
    said = sys.modules[thing.__module__].__doc__ or thing.__module__
    return said.splitlines()[0]


def warn_if_alike(view: Studio, spec: RunSpec) -> None:
    """Frames of one clip are nearly alike: a model tuned on them learns the clip, not the world (docs/cameras.md)."""
    if not spec.settings().iterations:
        return  # ranges are no worse for it
    some = evenly(view.images, min(len(view.images), COMPARED))
    words, found = view.words, likeness(view.task, view.detector.decode(outputs_of_all(view, some)))
    if found > NEARLY_ALIKE:
        st.warning(
            f"These {words.plural} are alike ({style.percent(found)}), as those of one or two cameras: the run will "
            f"learn them. Add {words.elsewhere}. The published LSTR, tuned at four bits, kept an F1 of .33 from two "
            "clips, and of .46 from 45 cameras.",
            icon=":material/content_copy:",
        )


def begin(view: Studio, spec: RunSpec, place: Place) -> None:
    """Create the run and start it."""
    spec.validate()
    check_offered(place)  # before anything is copied
    limits.check_queue()
    path = actions.name_of(named(spec), private=view.uploaded or view.choice.uploaded)
    run = actions.start(path, kept(view, spec, path), place)
    results.claim(run.name)
    keep("run", run.name)
    if waiting := len(ahead(run)):
        st.toast(f"Queued {run.name}: number {waiting + 1} on this device", icon=":material/hourglass_top:")
    else:
        st.toast(f"Started {run.name}", icon=":material/play_arrow:")


def begin_search(view: Studio, what: Search, place: Place, at_once: int) -> None:
    """Write a search down and start it; its name begins with what it is, for those of its runs do, too."""
    check(what)
    check_offered(place)
    limits.check_queue(at_once)
    spec = RunSpec.from_dict(what.spec)
    path = actions.name_of(f"search-{named(spec)}", private=view.uploaded or view.choice.uploaded)
    spec = kept(view, spec, path).absolute()
    actions.search(path, replace(what, spec=spec.to_dict()), place, at_once)
    results.claim(path.name)
    keep("search", path.name)
    st.toast(f"Started {path.name}", icon=":material/play_arrow:")


def named(spec: RunSpec) -> str:
    """What a run is, and when it was started."""
    return f"{spec.detector}-{spec.full_scheme().slug}-{spec.method}-{time.strftime('%m%d-%H%M%S')}"


def kept(view: Studio, spec: RunSpec, path: Path) -> RunSpec:
    """The specification with uploads copied into the folder of its run or search, for they end with the session."""
    if view.uploaded:
        images = path / "images"
        images.mkdir(parents=True)
        for number, image in enumerate(view.images):
            shutil.copy(image, images / f"{number:04d}-{image.name}")
        spec = replace(spec, images=(str(images),))
    if view.choice.weights is not None and view.choice.uploaded:
        path.mkdir(parents=True, exist_ok=True)
        weights = Path(shutil.copy(view.choice.weights, path / f"weights{view.choice.weights.suffix}"))
        spec = replace(spec, weights=str(weights))
    return spec


view = studio()
style.page("Tune", "Quantize the detector, then tune it, without labels. The run goes on when you close this tab.")
left, right = st.columns([1.15, 1.85], gap="medium")
with left, st.container(border=True):
    what = st.segmented_control(
        "Start", (RUN, SEARCH), default=RUN, required=True, key=WHAT, bind="query-params",
        help="A search tries other values of k, λ, the learning rate or bits around the run that is set here; each "
        "trial is a run.",
    )  # fmt: skip
    try:
        spec = settings(view)
        warn_if_alike(view, spec)
        if elsewhere := st.session_state.get(options.ELSEWHERE):
            st.warning(elsewhere, icon=":material/folder_open:")
        forecast(spec)
        search = search_form.draw(spec, len(view.detector.heads)) if what == SEARCH else None
        place = launchers.choose()
        at_once = search_form.at_once(place) if search else 1
        blocked = launchers.blocked(place)
        with st.container(key="sf-start"):  # it stays in sight, however long the choices are
            start: dict[str, Any] = {"type": "primary", "icon": ":material/play_arrow:", "width": "stretch"}
            if search and st.button("Start the search", disabled=blocked, **start):
                begin_search(view, search, place, at_once)
            if not search and st.button("Start the run", disabled=blocked, **start):
                begin(view, spec, place)
    except InputError as error:
        style.problem(error)
with right:
    search_panel.panel() if what == SEARCH else panel()
