"""The sidebar: detector and weights, images, device. It ends in a Studio or in an error shown in place."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
import torch

from app.session import (
    KEY,
    MOST_UPLOADS,
    PROBLEM,
    DetectorChoice,
    Studio,
    first_detector,
    image_of,
    keep_upload,
    load_detector,
    named,
)
from sfcore.datasets.images import FORMATS, find_images
from sfcore.detectors.registry import Entry, entries, entry
from sfcore.errors import InputError
from sfcore.resources import sample_data

SOURCES = ("Samples", "Upload", "Folder")


def draw() -> None:
    """Draw the sidebar and leave this visitor's Studio in the session; without one, pages stay empty."""
    st.session_state.pop(KEY, None)
    with st.sidebar:
        try:
            choice = _detector()
            images, folder = _images()
            st.session_state[KEY] = Studio(choice, tuple(images), _shown(images), folder)
        except InputError as error:
            st.error(str(error), icon=":material/error:")
            st.session_state[PROBLEM] = str(error)


def _detector() -> DetectorChoice:
    names = [e.name for e in entries()]
    st.subheader("Detector", anchor=False)
    name = st.selectbox(
        "Detector",
        names,
        index=names.index(first_detector()),
        key="detector",
        bind="query-params",
        label_visibility="collapsed",
        help="The network whose lanes, heads and quantization you look at.",
        on_change=_switch_weights,
    )
    st.session_state["detector before"] = name
    weights, uploaded = _weights(entry(name))
    choice = DetectorChoice.of(name, weights, _device(), uploaded)
    load_detector(choice)
    return choice


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
        upload = st.file_uploader(
            "or upload it", type=["safetensors", "pkl", "pth", "pt"], key=f"upload-{detector.name}"
        )
    if upload is not None:
        return keep_upload(upload, "weights"), True
    return (Path(path.strip()).expanduser() if path.strip() else None), False


def _device() -> str:
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        return devices[0]
    return st.selectbox("Device", devices, key="device", bind="query-params", help="Where the detector runs.")


def _images() -> tuple[list[Path], str | None]:
    """The chosen images, and the folder they come from unless they were uploaded."""
    st.subheader("Images", anchor=False)
    source = st.segmented_control(
        "Images",
        SOURCES,
        default="Samples",
        required=True,
        key="images",
        bind="query-params",
        label_visibility="collapsed",
        width="stretch",
    )
    if source == "Samples":
        folder = str(sample_data() / "scenes")
        return find_images([folder]), folder
    return (_uploads(), None) if source == "Upload" else _folder()


def _uploads() -> list[Path]:
    files = st.file_uploader(
        "Road images",
        type=[suffix.lstrip(".") for suffix in FORMATS],
        accept_multiple_files=True,
        key="uploads",
        help=f"Up to {MOST_UPLOADS} images. They stay on this machine and are removed with your session.",
    )
    if not files:
        raise InputError("no images yet: upload some road images, or choose Samples")
    if len(files) > MOST_UPLOADS:
        raise InputError(f"{len(files)} images are too many: upload at most {MOST_UPLOADS}, or use Folder")
    kept, problems = [], []
    for file in files:
        path = keep_upload(file, "images")
        try:
            image_of(path, path.stat().st_mtime)
            kept.append(path)
        except InputError as error:
            problems.append(str(error).replace(str(path), file.name))
    for problem in problems:
        st.error(problem, icon=":material/broken_image:")
    if not kept:
        raise InputError("none of the uploads is an image that can be read: upload others")
    return kept


def _folder() -> tuple[list[Path], str]:
    given = st.text_input(
        "Folder",
        key="folder",
        bind="query-params",
        placeholder="/path/to/frames",
        help="A folder of images on the machine that runs this app. frames[:140] takes the first 140 of them.",
    )
    limit = st.number_input(
        "Use at most", 1, 5000, 100, key="limit", bind="query-params", help="Evenly spaced over the folder."
    )
    if not given.strip():
        raise InputError("no folder yet: give the path of a folder of images, or choose Samples")
    folder = str(Path(given.strip()).expanduser())
    return find_images([folder], limit=int(limit)), folder


def _shown(images: list[Path]) -> Path:
    """The image that the pages show; its name is in the URL."""
    names = named(images)
    if st.session_state.get("image") not in names:
        st.session_state.pop("image", None)
    name = st.selectbox(
        f"Image shown, of {len(names)}",
        list(names),
        key="image",
        bind="query-params",
        help="All pages show this image.",
    )
    return names[name]
