"""The sidebar: detector and weights, images, device. It ends in a Studio or in an error shown in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch

from app import distilled, sources, style
from app.session import (
    KEY,
    PROBLEM,
    DetectorChoice,
    Studio,
    first_detector,
    forget_unknown,
    keys_in,
    load_detector,
    size_of,
    uploads,
    written,
)
from app.team import activity
from app.team.access import expanded, reach, reach_source
from app.uploads import FRAME_MB, FRAMES_MB, MOST_FRAMES, refuse
from sfcore.datasets.dataset import Dataset, Frame, spread
from sfcore.detectors.registry import Entry, entries, entry
from sfcore.drawing import SLIMMEST
from sfcore.errors import InputError
from sfcore.files import stamp
from sfcore.inputs.base import InputSpec
from sfcore.inputs.images import Preprocessing
from sfcore.names import plain_in_markdown, printable
from sfcore.tasks.base import TASKS

SOURCES, DISTILLED = ("Samples", "Upload", "Folder"), "Distilled"  # of frames; the last are images only
WEIGHTS = ["safetensors", "pkl", "pth", "pt", "ckpt", "bin", "tar"]  # how files of weights are called
MOST_PROBLEMS = 3  # of a dataset's lists that are named


def draw() -> None:
    """Draw the sidebar and leave this visitor's Studio in the session; without one, pages stay empty."""
    st.session_state.pop(KEY, None)
    with st.sidebar, st.container(key="sf-controls"):
        try:
            choice = _detector()
            found = _images(choice)
            image = _shown(choice, found.frames)
            st.session_state[KEY] = Studio(choice, found.dataset, found.frames, image, found.source, found.uploaded)
        except InputError as error:
            style.problem(error, icon=":material/error:")
            st.session_state[PROBLEM] = str(error)


def _detector() -> DetectorChoice:
    st.subheader("Detector", anchor=False)
    first, names = first_detector(), _of_task()
    name = st.selectbox(
        "Detector",
        names,
        index=names.index(first) if first in names else 0,
        key="detector",
        bind="query-params",
        label_visibility="collapsed",
        help="The network whose answers, heads and quantization you look at.",
        on_change=_switch_weights,
    )
    st.session_state["detector before"] = name
    weights, uploaded = _weights(entry(name))
    choice = DetectorChoice.of(name, weights, _device(), uploaded, _key(name, weights))
    load_detector(choice)
    return choice


def _of_task() -> list[str]:
    """The detectors of the chosen task, which is that of the chosen detector until another is chosen."""
    by_task: dict[str, list[str]] = {}
    for each in entries():
        by_task.setdefault(each.sample.task_name, []).append(each.name)
    known = {name: task for task, names in by_task.items() for name in names}
    given = st.session_state.get("detector", st.query_params.get("detector", first_detector()))
    st.session_state["task"] = known.get(given, known[first_detector()])
    if len(by_task) > 1:
        st.selectbox(
            "Task", sorted(by_task, key=lambda name: name != known[first_detector()]), key="task",
            format_func=lambda name: TASKS[name].words.title or name, on_change=_switch_task, args=(by_task,),
            label_visibility="collapsed", help="What detectors answer with.",
        )  # fmt: skip
    return by_task[st.session_state["task"]]


def _switch_task(by_task: Mapping[str, Sequence[str]]) -> None:
    """Choose the first detector of another task that works as it is; its own frames go with it."""
    names = by_task[st.session_state["task"]]
    st.session_state["detector"] = next((name for name in names if entry(name).shipped), names[0])
    _switch_weights()


def _switch_weights() -> None:
    """Another detector needs other weights: put away the path given for the old one, bring back the new one's."""
    paths = st.session_state.setdefault("weights of", {})
    paths[st.session_state["detector before"]] = st.session_state.get("weights", "")
    st.session_state["weights"] = paths.get(st.session_state["detector"], "")


def _weights(detector: Entry) -> tuple[Path | None, bool]:
    """The checkpoint to load, or None for the shipped one, and whether it was uploaded."""
    shipped = detector.shipped is not None
    given = st.session_state.get("weights", st.query_params.get("weights", ""))
    label = f"Weights: {Path(given).name}" if given else "Weights: shipped" if shipped else "Weights"
    with st.expander(label, icon=":material/database:", expanded=not (shipped or given)):
        if not shipped:
            st.caption(
                f"**{detector.name}** ships no weights. Download its checkpoint from the authors, then give its "
                f"path on this machine or upload it. Published at {detector.source}"
            )
        path = st.text_input(
            "Checkpoint file",
            key="weights",
            bind="query-params",
            placeholder="shipped weights" if shipped else "/path/to/checkpoint.pkl",
            help="A path on the machine that runs this app. Safetensors, or a PyTorch file of plain tensors; "
            "nothing in the file is ever executed.",
        )
        upload = st.file_uploader("or upload it", type=WEIGHTS, key=f"upload-{detector.name}")
    kept = uploads().weights(upload)
    if kept is not None:
        return kept, True
    refuse(path)
    return (Path(reach(path.strip())) if path.strip() else None), False


def _key(detector: str, weights: Path | None) -> str | None:
    """Which weights in a checkpoint; asked only where several fit.

    Raises:
        InputError: none is chosen yet, or the checkpoint cannot be read.
    """
    keys = keys_in(detector, weights, stamp(weights)) if weights and weights.is_file() else ()
    if weights is None or len(keys) < 2:
        return None
    forget_unknown("weights_key", keys)
    text = "The checkpoint holds several that fit the detector, such as averaged ones (ema) beside the trained ones."
    chosen = st.selectbox(
        "Weights in the file", keys, index=None, key="weights_key", bind="query-params", placeholder="choose", help=text
    )
    if chosen is None:
        raise InputError(f"{weights.name} has several weights that fit: choose one of {', '.join(keys)}")
    return chosen


def _device() -> str:
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        return devices[0]
    return st.selectbox("Device", devices, key="device", bind="query-params", help="Where the detector runs.")


@dataclass(frozen=True)
class _Images:
    """What was chosen under Images: the same as the attributes of a Studio."""

    dataset: Dataset
    frames: tuple[Frame, ...]
    source: str | None = None
    uploaded: bool = False


def _images(choice: DetectorChoice) -> _Images:
    spec = load_detector(choice).preprocessing
    st.subheader(f"{spec.noun.capitalize()}s", anchor=False)
    known = (*SOURCES, DISTILLED) if isinstance(spec, Preprocessing) else SOURCES
    forget_unknown("images", known)
    source = st.segmented_control(
        "Images",
        known,
        default="Samples",
        required=True,
        key="images",
        bind="query-params",
        label_visibility="collapsed",
        width="stretch",
    )
    if source == "Upload":
        dataset = sources.loose(uploads().folder, _uploads(spec))
        return _Images(dataset, tuple(dataset.frames), uploaded=True)
    uploads().frames([], spec)
    if source == "Folder":
        return _folder(choice)
    if source == DISTILLED:
        text = distilled.source(choice)
        dataset = sources.opened(text, None, 0.0)
        return _Images(dataset, tuple(dataset.frames), text)
    folder = sources.samples(spec)
    dataset = sources.opened(folder, None, sources.changed(folder), spec.formats)
    return _Images(dataset, tuple(dataset.frames), folder)


def _uploads(spec: InputSpec) -> list[Path]:
    things = f"{spec.noun}s"
    files = st.file_uploader(
        things.capitalize(),
        type=[suffix.rpartition(".")[2] for suffix in spec.formats],
        accept_multiple_files=True,
        key=f"uploads {spec.kind}",
        max_upload_size=FRAME_MB,
        help=f"Up to {MOST_FRAMES} {things}, {FRAMES_MB} MB together. They stay on this machine, only you see them, "
        "and they are removed when you take them back or close the page. A run keeps a copy; who has its link sees it.",
    )
    kept, problems = uploads().frames(files, spec)
    for problem in problems:
        style.problem(problem, icon=":material/broken_image:")
    if not files:
        raise InputError(f"no {things} yet: upload some, or choose Samples")
    if not kept:
        raise InputError(f"none of the uploads is one of the {things} that can be read: upload others")
    return kept


def _folder(choice: DetectorChoice) -> _Images:
    """What a path holds, of what the detector reads."""
    given = st.text_input(
        "Folder, dataset or video",
        key="folder",
        bind="query-params",
        placeholder="/path/to/frames",
        help="A path on the machine that runs this app: a folder of images, a video, or the folder of a dataset, whose "
        "layout is recognised. frames[:140] takes the first 140 images, drive.mp4[::10] every tenth frame, scenes:200 "
        "renders 200 roads.",
    ).strip()
    if not given:
        raise InputError("no folder yet: give the path of images, of a dataset or of a video, or choose Samples")
    path = expanded(given)
    try:
        reach_source(path)
        refuse(path)
        path = distilled.there(choice, path)
        stamp = sources.changed(path)
        split = _split(sources.splits(path, stamp))
        dataset = sources.opened(path, split, stamp, load_detector(choice).preprocessing.formats)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path and who may read it") from error
    activity.note_once("open", path)
    st.caption(plain_in_markdown(sources.title(dataset)))
    for problem in dataset.problems[:MOST_PROBLEMS]:
        st.warning(plain_in_markdown(printable(problem)), icon=":material/broken_image:")
    chosen = _scenarios(dataset.scenarios)
    limit = st.number_input(
        "Use at most", 1, 5000, 100, key="limit", bind="query-params",
        help="Images, evenly spaced over the source; where scenarios are known, an equal share of each.",
    )  # fmt: skip
    frames = [frame for frame in dataset.frames if not chosen or frame.scenario in chosen]
    whole = split is None and not chosen
    return _Images(dataset, tuple(spread(frames, int(limit))), path if whole else None)


def _split(names: tuple[str, ...]) -> str | None:
    """The chosen part of a dataset; None for the usual one."""
    if len(names) < 2:
        return None
    forget_unknown("split", names)
    chosen = st.selectbox("Split", names, key="split", bind="query-params", help="Which part of the dataset.")
    return None if chosen == names[0] else chosen


def _scenarios(names: Sequence[str]) -> list[str]:
    """The scenarios that were chosen; none where all are taken, or none is known."""
    if not names:
        return []
    forget_unknown("scenarios", names)
    return st.multiselect(
        "Scenarios", names, key="scenarios", bind="query-params", placeholder="all", help="All when none is chosen."
    )


def _shown(choice: DetectorChoice, frames: Sequence[Frame]) -> Path:
    """The image that the pages show; its name is in the URL."""
    noun = load_detector(choice).preprocessing.noun
    if not frames:
        raise InputError(f"there is no {noun} to show: choose other {noun}s, or see above what is wrong with these")
    names = {printable(frame.name): frame.image for frame in frames}
    forget_unknown("image", list(names))
    name = st.selectbox(
        f"{noun.capitalize()} shown, of {len(names):,}",
        list(names),
        key="image",
        bind="query-params",
        help=f"All pages show this {noun}.",
    )
    image = names[name]
    height, width = size_of(choice, image, written(image))
    if max(height, width) > SLIMMEST * min(height, width):
        st.caption(f"This image has {width:,} × {height:,} pixels. It is drawn broader than it is, to be seen.")
    return image
