"""Several models on the same frames, against full precision and against labels: what the Compare page shows, and the
choice of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import calibration, report_download, results, style
from app.calibration import Calibration
from app.deployment import Leaving
from app.perturbation import Moved
from app.scheme import USUAL, cost, in_markdown, say_cost
from app.session import Studio, remembered, size_of, written
from app.style import Bar
from sfcore.colours import ENGINE
from sfcore.datasets.dataset import Frame, spread
from sfcore.detectors.base import Outputs
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.present.model_comparison import Comparison, Model, compare_models, compared_models, ranks
from sfcore.quant.scheme import Scheme
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName, models_of
from sfcore.runs.shipped import ships

MOST_FRAMES = 24  # that are compared unless more are asked for


class Contender(Model):
    """One of the models on the page, with its predictions; the full-precision detector is that of the sidebar."""

    @property
    def key(self) -> Hashable:
        """What results about it are kept under."""
        return self.run and (self.run.path, self.which, results.stamp(self.run, self.which))

    @property
    def full_precision(self) -> Mapping[str, str]:
        """What of it stays in full precision, and why, by the names of its modules."""
        return self.run.record().get("full_precision", {}) if self.run else {}

    def prediction(self, view: Studio, image: Path) -> Any:
        """Its prediction about one image, in the detector's frame."""
        return results.prediction(view, self.run, self.which, image) if self.run else view.prediction(image)

    def outputs(self, view: Studio, image: Path) -> Outputs:
        """Its head outputs of one image, batch of one."""
        return results.outputs(self.run, self.which, image) if self.run else view.outputs(image)

    def moved(self, view: Studio, image: Path) -> Moved:
        """Its prediction about one image beside the full-precision one."""
        before, after = view.prediction(image), self.prediction(view, image)
        return Moved(before, after, view.task.distortion(before, after))


@dataclass(frozen=True, kw_only=True)
class OnTheSpot(Contender):
    """The sidebar's detector, calibrated on the spot."""

    which: ModelName = "calibrated"
    calibration: Calibration

    @property
    def key(self) -> Hashable:
        return self.calibration

    @property
    def full_precision(self) -> Mapping[str, str]:
        return self.calibration.model.full_precision

    def prediction(self, view: Studio, image: Path) -> Any:
        return self.calibration.prediction(image)

    def outputs(self, view: Studio, image: Path) -> Outputs:
        return self.calibration.outputs(image)


@dataclass(frozen=True, kw_only=True)
class InEngine(Contender):
    """What leaves, run by an engine."""

    engine: str
    leaving: Leaving

    @property
    def name(self) -> str:
        return self.engine

    @property
    def colour(self) -> str:
        return ENGINE

    @property
    def key(self) -> Hashable:
        return self.engine, self.leaving.key

    @property
    def full_precision(self) -> Mapping[str, str]:
        return {}  # said of the model that was exported

    def prediction(self, view: Studio, image: Path) -> Any:
        return view.detector.decode(self.outputs(view, image))

    def outputs(self, view: Studio, image: Path) -> Outputs:
        return self.leaving.in_engine(self.engine, image)


def contenders(
    first: RunFolder | Calibration, second: RunFolder | None = None, engines: Sequence[str] = ()
) -> list[Contender]:
    """Full precision, the models of a run or what was quantized on the spot, the last of these in engines, and the
    models of a second run."""
    leaving = Leaving(first)
    ran = [InEngine("tuned", engine=engine, leaving=leaving) for engine in engines]
    seconds = [Contender(which, second, True) for which in models_of(second)] if second else []
    if isinstance(first, RunFolder):
        own = [Contender(model.which, model.run) for model in compared_models(first)]
    else:
        own = [Contender(), OnTheSpot(calibration=first)]
    return [*own, *ran, *seconds]


def compare(view: Studio, models: Sequence[Contender], frames: Sequence[Frame]) -> Comparison:
    """Each model's scores, with a progress bar while frames are not cached.

    Raises:
        InputError: none of the frames can be read.
    """
    stamps = tuple((frame.name, _stamp(frame)) for frame in frames)
    key = ("compare", view.choice, view.dataset.root, view.dataset.split, stamps, *(model.key for model in models))
    return remembered(key, lambda: _compare(view, models, frames))


def _stamp(frame: Frame) -> float | None:
    try:
        return written(frame.image)
    except InputError:
        return None


def _compare(view: Studio, models: Sequence[Contender], frames: Sequence[Frame]) -> Comparison:
    bar, problems = Bar("Comparing frames"), dict[str, str]()
    kept: list[Frame] = []
    found: dict[str, list[Any]] = {model.name: [] for model in models}
    unsure = {name: list[Any]() for name in found} if ranks(view.task, view.dataset) else None
    for done, frame in enumerate(frames, 1):
        try:
            size_of(view.choice, frame.image, written(frame.image))
        except InputError as error:
            problems[frame.name] = str(error)
            continue
        kept.append(frame)
        for model in models:
            found[model.name].append(model.prediction(view, frame.image))
            if unsure is not None:
                unsure[model.name].append(view.detector.candidates(model.outputs(view, frame.image)))
        bar(done, len(frames))
    bar.close()
    if not kept:
        raise InputError(f"none of the {len(frames)} frames can be read: {next(iter(problems.values()))}")
    joined, ranked = ({name: view.task.join(each) for name, each in (of or {}).items()} for of in (found, unsure))
    return compare_models(view.task, view.dataset, kept, joined, problems, ranked)


@dataclass(frozen=True)
class Choice:
    """What is compared: the models, the frames, and the runs that the models are of."""

    models: list[Contender]
    frames: list[Frame]
    runs: tuple[RunFolder, ...] = ()


def choose(view: Studio) -> Choice:
    """What is compared, chosen in a row of controls: a run or what is quantized here, and a second run."""
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    with row:
        run = results.choose_or_here(view, "run")
    return of_runs(view, run, row) if run else on_the_spot(view, row)


def of_runs(view: Studio, run: RunFolder, row: DeltaGenerator) -> Choice:
    """The models of a run, and of a second one."""
    with row:
        second, engines, frames = against(view, run), engines_to_compare(), frames_to_compare(view.frames)
        runs = (run, second) if second else (run,)
        if st.button("Report", icon=":material/description:", help="All of this in one HTML file."):
            report_download.dialog(runs, frames)
    if ships(run):
        st.info(example(run), icon=":material/school:")
    return Choice(contenders(run, second, engines), frames, runs)


def engines_to_compare() -> list[str]:
    """Engines that shall run the network, too; none unless some are asked for, for that exports it."""
    return st.multiselect(
        "Engines", ENGINES.names(), key="engines", bind="query-params", placeholder="none", width=220,
        help="Export the network and show what these engines make of it, frame by frame. The Deploy page judges them.",
    )  # fmt: skip


def against(view: Studio, run: RunFolder | None = None) -> RunFolder | None:
    """The second run, if one is wanted."""
    return results.choose(view, "against", optional=True, label="Run 2", besides=run)


def example(run: RunFolder) -> str:
    """What the run that ships is, and what to do next."""
    spec, images, scheme = run.spec, run.record().get("images"), in_markdown(run.spec.full_scheme())
    return (
        f"**An example that ships: {spec.detector} in {scheme}, calibrated and tuned on {images} "
        f"rendered roads.** For other bits, choose *{results.HERE}* under Run; for other networks, a detector in the "
        "sidebar."
    )


def on_the_spot(view: Studio, row: DeltaGenerator) -> Choice:
    """The detector quantized here and now, beside a run if one is wanted; nothing is compared before it is made."""
    chosen = wanted(view, row)
    with row:
        second, engines = against(view), engines_to_compare()
        frames = frames_to_compare(calibration.unseen(view.frames, chosen))
    st.info(calibration.explanation(chosen, frames), icon=":material/bolt:")
    say_cost(view.choice, Scheme.parse(chosen.scheme))
    ready = calibration.is_ready(chosen)
    if not ready:
        calibration.start_button(chosen)
    next_steps(chosen)
    if not ready:
        st.stop()
    return Choice(contenders(chosen, second, engines), frames, (second,) if second else ())


def wanted(view: Studio, row: DeltaGenerator) -> Calibration:
    """What is to be quantized here; where the bits cannot be had, it says why and takes the usual ones.

    Raises:
        InputError: none of the images to calibrate on can be read, or the detector cannot be quantized.
    """
    bits, on = calibration.controls(view, repeat(row))
    try:
        cost(view.choice, Scheme.parse(bits))  # or else the detector has no layer of a name in it
    except InputError as error:
        cost(view.choice, Scheme.parse(USUAL))  # or else it is not the bits
        bits = USUAL
        style.problem(f"{error}. Until then, below is {bits}.", icon=":material/error:")
    return calibration.of(view, bits, on)


def next_steps(chosen: Calibration) -> None:
    """To the Tune page with these bits, and to what tuning comes to."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        query = {"detector": chosen.choice.name, "t_bits": chosen.scheme}
        st.page_link("../pages/tune.py", label="Tune it", icon=":material/tune:", query_params=query)
        if tuned := next(filter(ships, results.runs()), None):
            st.button(
                "See an example that was tuned", icon=":material/compare:", type="tertiary",
                on_click=results.put_in_sidebar, args=(tuned,),
            )  # fmt: skip


def frames_to_compare(frames: Sequence[Frame]) -> list[Frame]:
    """Evenly spaced ones of the frames; where nobody has chosen how many, as many as are usual for so many frames."""
    most, before = len(frames), "usual frames"
    usual = min(most, MOST_FRAMES)
    if st.session_state.setdefault(before, usual) != usual:
        if st.session_state.get("frames") == st.session_state[before]:
            st.session_state["frames"] = usual
        st.session_state[before] = usual
    count = most if most == 1 else st.number_input(
        f"Frames, of {most:,}", 1, most, usual, key="frames", bind="query-params",
        help="How many of the chosen images are compared, evenly spaced. More take longer the first time.",
    )  # fmt: skip
    return spread(frames, int(count))
