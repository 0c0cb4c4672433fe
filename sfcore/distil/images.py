"""Where a network and its distilled images come together: made when they are first asked for, then kept.

Images of the same weights and settings are made once and lie in the user's cache (``$SFCORE_CACHE``) as PNG files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from sfcore.datasets.distilled import DISTILLING, VERSION, Distilled
from sfcore.datasets.images import ImageSet, read_file
from sfcore.datasets.source import source_of
from sfcore.datasets.sources.distilled import DistilledImages
from sfcore.detectors.base import Detector
from sfcore.distil.diversity import diversity
from sfcore.distil.synthesis import Progress, Synthesis
from sfcore.drawing import png
from sfcore.errors import InputError
from sfcore.files import explained, plain, write_atomic, write_json
from sfcore.inputs.images import Preprocessing
from sfcore.json_lines import JsonLines

Report = Callable[[str, int, int], None]

SIGN = 12  # hex digits that tell a network and its weights from others
NOT_JUDGED = (
    "among the held-back images are distilled ones, which say how far this network's answers are kept on images made "
    "for it: judge on real frames (sfcore compare)"
)


def sign_of(detector: Detector) -> str:
    """What tells a detector, its weights and its input from others, whatever the file they came from."""
    digest = hashlib.sha256(f"{type(detector).__name__} {detector.preprocessing}".encode())
    for name, value in detector.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:SIGN]


def is_distilled(frame: Path) -> bool:
    """Whether a frame, or a place, is of a ``distilled:`` source."""
    return isinstance(source_of(frame), DistilledImages)


def with_distilled(detector: Detector, frames: Sequence[Path], report: Report | None = None) -> list[Path]:
    """The same frames, those of ``distilled:`` sources made for a detector; call it before frames are read.

    Args:
        report: called with (phase, steps done, steps in all) of each source while its images are made.

    Raises:
        InputError: see :func:`distil`; or the images of another network are asked for, and are not there.
    """
    told = partial(report, DISTILLING) if report else None
    places = filter(is_distilled, dict.fromkeys(frame.parent for frame in frames))
    own = {place: distil(detector, Distilled.parse(place), told) for place in places}
    return [Path(str(own[frame.parent])) / frame.name if frame.parent in own else frame for frame in frames]


def distilled_set(detector: Detector, chosen: ImageSet, report: Report | None = None) -> ImageSet:
    """:func:`with_distilled` of an image set."""
    return replace(chosen, files=tuple(with_distilled(detector, chosen.files, report)))


def distil(detector: Detector, what: Distilled, progress: Progress | None = None) -> Distilled:
    """See that distilled images are there; returns them with the sign of their network.

    Work that was broken off goes on with the first batch that is not whole. Of two processes that want the same
    images, one makes them and the other waits.

    Raises:
        InputError: the detector reads no images or has no batch norms, the cache cannot be written, or images of
            another network are asked for that are not in the cache.
    """
    own = replace(what, of=sign_of(detector))
    what = what if what.of else own
    if what.made:
        return what
    if what != own:
        raise InputError(
            f"{what} was distilled from other weights, and its images are no longer in the cache: leave ',of={what.of}'"
            " out to have some made for these"
        )
    synthesis = Synthesis(detector, what)
    with explained(what.folder):
        what.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(what.folder / "lock"):
            if not what.made:
                _make(detector, synthesis, progress)
    return what


def read(what: Distilled, spec: Preprocessing) -> Tensor:
    """(N, 3, H, W) uint8, as the network reads them, of images that are there."""
    return spec.stack([read_file(what.file(number)) for number in range(what.count)])


def _make(detector: Detector, synthesis: Synthesis, progress: Progress | None) -> None:
    """Make what is missing, batch by batch, and last of all write down how it went."""
    what, kept = synthesis.what, JsonLines(synthesis.what.folder / "batches.jsonl")
    known = {line["first"]: line for line in kept.read()[0]}
    for place, numbers in enumerate(synthesis.batches):
        if numbers[0] not in known or not all(what.file(number).is_file() for number in numbers):
            batch = synthesis.batch(numbers, _part(progress, place, len(synthesis.batches)))
            for number, image in zip(numbers, batch.images, strict=True):
                write_atomic(what.file(number), png(synthesis.spec.picture(image)))
            known[numbers[0]] = {"first": numbers[0], "images": len(numbers), "start": batch.start, "end": batch.end}
            kept.append(known[numbers[0]])
    found = diversity(synthesis.observed, read(what, synthesis.spec))
    content = {"source": str(what), "version": VERSION, "detector": type(detector).__name__, **asdict(what)}
    losses = [known[numbers[0]] for numbers in synthesis.batches]
    write_json(what.manifest, plain(content | {"batches": losses, "diversity": asdict(found)}))


def _part(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """The progress of one of several equal parts."""
    return (lambda done, steps: progress(place * steps + done, parts * steps)) if progress else None
