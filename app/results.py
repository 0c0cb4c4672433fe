"""What the pages ask about runs, cached by the file that holds the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import streamlit as st
import torch

from app.session import (
    PATHS,
    DetectorChoice,
    Studio,
    canvas_of,
    first_detector,
    forget_unknown,
    frame_of,
    image_hash,
    load_detector,
    weights_of,
    written,
)
from app.team.people import is_me, is_mine
from app.widgets.links import keep, recall
from sfcore import drawing, files
from sfcore.detectors.base import Detector, Image, Outputs
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.files import Stamp
from sfcore.present import run_history
from sfcore.present.run_history import RunHistory
from sfcore.quant.copies import copied
from sfcore.quant.cost import Cost
from sfcore.runs import RunFolder, RunSpec, default_root, list_runs
from sfcore.runs.results import FILES, ModelName, converted, cost_of, filled, models_of, recorded_cost
from sfcore.runs.shipped import shipped, ships
from sfcore.runs.shipped_predictions import ShippedPredictions, shipped_predictions
from sfcore.search.folder import FILE as SEARCH
from sfcore.search.folder import read
from sfcore.search.folder import searches as list_searches
from sfcore.search.process import launched
from sfcore.sensitivity.noise import relative_noise
from sfcore.serving import serving
from sfcore.tasks.base import TASKS, Task

OWN = "own runs"  # names of the runs on uploads that this visitor may see
IN_LINK = ("run", "against", "search")
HERE = "quantize here"  # what is chosen in place of a run, on pages that quantize on the spot
CHOICES = {"detector", "weights", *IN_LINK, "bits", "on", "at"}  # of a link that says what Compare is to show


def runs(detector: str | None = None) -> list[RunFolder]:
    """All runs that this visitor may see, newest first; those of one detector when it is named.

    A run on uploads shows them, so it is seen by who started it, and by who was given its link. The run that ships
    comes last, unless a run of this machine has its name, which is then that run's in links, too.
    """
    own = _own()
    found = [
        run
        for run in list_runs(default_root())
        if own & {run.name, search_of(run)} or not on_uploads(run) or (serving() and is_mine(run))
    ]
    found = [run for run in found if not run.path.is_symlink() or serving() is None]  # it would lead out of its folder
    if not (default_root() / shipped().name).exists():
        found.append(shipped())
    return [run for run in found if detector is None or run.spec.detector == detector]


def searches() -> list[Path]:
    """The folders of all searches that this visitor may see, newest first: those on uploads as :func:`runs`."""
    own = _own()
    found = [
        path
        for path in list_searches(default_root())
        if path.name in own or not _search_on_uploads(path) or (serving() and is_me(launched(path).owner))
    ]
    return [path for path in found if not path.is_symlink() or serving() is None]


def _own() -> set[str]:
    """The names of runs and searches that this visitor started, or has in a link."""
    own: set[str] = st.session_state.setdefault(OWN, set())
    own.update(name for key in IN_LINK if (name := st.query_params.get(key)))
    return own


def search_of(run: RunFolder) -> str:
    """The name of the search that a run is a trial of; "" where it is of none, for then what is before the last hyphen
    says nothing, and of a run on uploads nobody need guess it."""
    path = run.path.parent / run.name.rpartition("-")[0]
    return path.name if (path / SEARCH).is_file() else ""


def _search_on_uploads(path: Path) -> bool:
    spec = RunSpec.from_dict(read(path).spec)
    return any(_in_runs(source) for source in (*spec.images, spec.weights or ""))


def _in_runs(source: str) -> bool:
    """Whether a source lies in a run or a search, as only what visitors uploaded does."""
    return default_root().resolve() in Path(source).resolve().parent.parents


def on_uploads(run: RunFolder) -> bool:
    """Whether its images or its checkpoint were uploaded: they lie in its own folder then, or in that of its search."""
    return _on_uploads(run.path, run.record().get("created"))


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs=PATHS)
def _on_uploads(path: Path, created: float | None) -> bool:
    """Asked of every run whenever a page is drawn, though it never changes; a run may have hundreds of sources."""
    run = RunFolder(path)
    return any(_in_runs(source) for source in (*run.spec.images, run.spec.weights or ""))


def claim(name: str) -> None:
    """Let this visitor see a run or a search that others do not."""
    _own().add(name)


def stamp(run: RunFolder, which: ModelName) -> tuple[Stamp, Stamp]:
    """What tells a model of a run and the weights that it was made of from others, as part of a cache's key.

    Raises:
        InputError: one of the two files is gone, or there are other weights in the place of the run's.
    """
    run.check_weights()
    return files.stamp(run.path / f"{FILES[which]}.safetensors"), files.stamp(run.spec.weights_file())


def weights_problem(run: RunFolder) -> str | None:
    """Why a run's models can no longer be looked at, where its weights are others or gone by now."""
    try:
        run.check_weights()
    except InputError as error:
        return str(error)
    return None


@st.cache_resource(max_entries=8, show_spinner="Loading the quantized detector", hash_funcs=PATHS)
def model(path: Path, which: ModelName, written: tuple[Stamp, Stamp]) -> Detector:
    """A quantized model of a run; shared by all visitors, never to be changed."""
    return filled(copied(_converted(path, written[1])), RunFolder.open(path), which)


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=PATHS)
def _converted(path: Path, weights: Stamp) -> Detector:
    """What the models of a run are copies of, for it takes longer than to fill one; never to be changed."""
    run = RunFolder.open(path)
    return converted(run, load_detector(DetectorChoice.of_run(run.spec)))


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs=PATHS)
def _outputs(path: Path, which: ModelName, written: tuple[Stamp, Stamp], image: Path, image_stamp: float) -> Outputs:
    detector = model(path, which, written)
    with torch.no_grad():
        return detector(detector.preprocess([frame_of(detector.preprocessing, image, image_stamp)]))


def outputs(run: RunFolder, which: ModelName, image: Path) -> Outputs:
    """Head outputs of a quantized model on one image, batch of one."""
    return _outputs(run.path, which, stamp(run, which), image, written(image))


def prediction(view: Studio, run: RunFolder, which: ModelName, image: Path) -> Any:
    """The prediction of a quantized model of the view's detector about one image, which may have been shipped."""
    written = stamp(run, which)
    ready = _shipped(run.path, which, written, view)
    found = ready.about(image_hash(image)) if ready else None
    if found is not None:
        return found
    return model(run.path, which, written).decode(outputs(run, which, image))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=PATHS)
def _shipped(path: Path, which: ModelName, written: tuple[Stamp, Stamp], _view: Studio) -> ShippedPredictions | None:
    return shipped_predictions(RunFolder.open(path), which, _view.prediction)


def noise_levels(view: Studio, model: Callable[[Path], Outputs], images: Sequence[Path]) -> dict[str, float]:
    """The noise level that quantization puts on each head, over some images.

    Args:
        model: gives the quantized model's head outputs of an image.
    """
    full, quantized = (_together([of(image) for image in images]) for of in (view.outputs, model))
    return {head: relative_noise(quantized[head], full[head]) for head in full}


def quantization_errors(view: Studio, run: RunFolder, images: Sequence[Path]) -> Outputs:
    """Each head's error in the calibrated model on some images, (N, ...), to be replayed as noise."""
    full = _together([view.outputs(p) for p in images])
    quantized = _together([outputs(run, "calibrated", p) for p in images])
    return {head: quantized[head] - full[head] for head in full}


def _together(each: Sequence[Outputs]) -> Outputs:
    return {head: torch.cat([outputs[head] for outputs in each]) for head in each[0]}


def choose(
    view: Studio, key: str, optional: bool = False, label: str = "Run", besides: RunFolder | None = None
) -> RunFolder | None:
    """Let the visitor choose one of the detector's runs that has a model; None when there is none, or none chosen.

    Args:
        besides: a run that is not offered, because it is chosen already.
    """
    usable = _usable(view)
    if besides is not None:
        usable.pop(besides.name, None)
    if not usable:
        return None
    text = "Runs of this detector, newest first."
    if not optional:
        return usable[pick(label, list(usable), key, text)]
    names = ["none", *usable]
    forget_unknown(key, names)
    return usable.get(st.selectbox(label, names, key=key, bind="query-params", help=text))


def choose_or_here(view: Studio, key: str) -> RunFolder | None:
    """Let the visitor choose one of the detector's runs that has a model, or else to quantize here: None.

    Of another detector the newest run is shown, so what stands in the link for "here" names the detector.
    """
    usable, here = _usable(view), f"{view.choice.name} here"
    if "bits" in st.query_params and key not in st.query_params:  # a link from where there was no run
        keep(key, here)
    text = f"Runs of this detector, newest first; *{HERE}* takes any bits, calibrated in seconds and not tuned."
    return usable.get(pick("Run", [*usable, here], key, text, {here: HERE}))


def _usable(view: Studio) -> dict[str, RunFolder]:
    """The detector's runs that have a model, by name."""
    return {run.name: run for run in runs(view.choice.name) if models_of(run)}


def pick(label: str, names: Sequence[str], key: str, text: str, shown: Mapping[str, str] | None = None) -> str:
    """A choice among runs: the one that was chosen last on any page, or else the newest.

    It is in the link though nobody chose it, unlike a widget's default: tomorrow another run is the newest.

    Args:
        shown: what stands for a name on the page, where it is not the name.
    """
    place = f"{key} choice"
    held = recall(key)
    keep(key, held if held in names else names[0])
    st.session_state[place] = st.session_state[key]
    return st.selectbox(
        label, names, key=place, help=text, on_change=lambda: keep(key, st.session_state[place]),
        format_func=lambda name: (shown or {}).get(name, name),
    )  # fmt: skip


def canvas(view: Studio, frame: Path) -> Image:
    """A frame at drawing width, cached."""
    return canvas_of(view.choice, frame, written(frame))


def thumbnail(view: Studio, frame: Path) -> bytes:
    """A frame as a small JPEG, cached."""
    return _thumbnail(view.choice, frame, written(frame))


@st.cache_data(max_entries=2048, show_spinner=False, hash_funcs=PATHS)
def _thumbnail(choice: DetectorChoice, path: Path, when: float) -> bytes:
    spec = load_detector(choice).preprocessing
    return drawing.jpeg(drawing.canvas(spec.canvas(frame_of(spec, path, when)), 256), 80)


def held_back_scores(run: RunFolder) -> dict[str, dict[str, int | float | None]]:
    """The run's own result on its held-back images, by model; empty while it has none."""
    found = run.record().get("result", {})
    return {name: found[name] for name in ("calibrated", "tuned") if name in found}


def history(run: RunFolder) -> RunHistory:
    """How a run has gone; events that were read before are kept with the session, so only new lines are parsed."""
    known, offset = st.session_state.get(f"events {run.path}", ([], 0))
    new, after = run.events(offset)
    events = new if after < offset or offset == 0 else known + new
    st.session_state[f"events {run.path}"] = (events, after)
    return run_history.history(events)


def cost(run: RunFolder) -> Cost | None:
    """What a run's scheme costs its detector; None where that is not written down and its weights are gone, or it has
    only to begin to write it down."""
    found = recorded_cost(run)
    if found or run.status != "done":
        return found
    try:
        return _counted_cost(run.path, run.record().get("created"))
    except InputError:
        return None


@st.cache_data(max_entries=256, show_spinner="Counting operations", hash_funcs=PATHS)
def _counted_cost(path: Path, created: float | None) -> Cost:
    return cost_of(RunFolder(path))


def task_of(run: RunFolder) -> Task[Any]:
    """What a run's detector answers with. Raises InputError: there is no such detector or task."""
    return TASKS[_task_name(run.spec.detector)]


@st.cache_data(show_spinner=False)
def _task_name(detector: str) -> str:
    return entry(detector).sample.task_name


@st.cache_data(show_spinner=False)
def heads_of(detector: str) -> list[str]:
    """The names of a detector's heads in the order of its table."""
    return [head.name for head in entry(detector).sample.heads]


def settings(run: RunFolder) -> dict[str, Any]:
    """The options of a run's method, defaults included where the method is known here; k only if heads are selected."""
    try:
        recipe = run.spec.settings()
        unused = recipe.selection in ("none", "fixed")
        k = None if unused else recipe.heads_to_select(len(heads_of(run.spec.detector)))
        return asdict(recipe) | {"k": k}
    except InputError:
        return dict(run.spec.options)


def put_in_sidebar(run: RunFolder) -> None:
    """Choose the run and its detector with its weights for all pages; for use as a callback."""
    spec = run.spec
    keep("run", run.name)
    wanted = {"detector": spec.detector, **weights_of(spec)}
    if any(st.session_state.get(name, "") != value for name, value in wanted.items()):
        st.session_state.update(wanted)


def open_example() -> None:
    """Choose the run that ships and its detector, where nobody has chosen anything and the first detector has no run.

    It is called before the sidebar is drawn, which then holds the detector, as the link does.
    """
    if _has_chosen() or runs(first_detector()):
        return
    if example := next(filter(ships, runs()), None):
        if "detector" not in st.session_state:  # nor is there a control yet that would put it in the link
            st.query_params["detector"] = example.spec.detector
        put_in_sidebar(example)


def _has_chosen() -> bool:
    """Whether the visitor has chosen a detector, by a link or a click, or the link says what is to be compared."""
    held = st.session_state
    clicked = "weights of" in held  # what the sidebar keeps from the first time on that another detector is chosen
    other = held.get("detector", first_detector()) != first_detector() or held.get("weights")
    return bool(clicked or other or CHOICES & set(st.query_params))
