"""What is predicted about one held-back frame as tuning moves it, to be watched while a run goes on.

preview.jpg is the frame's picture. The first line of preview.jsonl has the full-precision objects, ``full``, and what
the task needs to restore predictions (of lanes ``rows`` and ``size``); each later one ``iteration`` and, under the
plural of what the task finds, such as ``lanes``, the objects, as the task records them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfcore.datasets.images import read_image
from sfcore.drawing import Image, fitted, jpeg
from sfcore.errors import InputError
from sfcore.files import write_atomic
from sfcore.runs.folder import RunFolder
from sfcore.tasks.base import Prediction, Task

LONGEST = 1280  # pixels of the picture's longer side
QUALITY = 88  # of the JPEG


@dataclass(frozen=True)
class Preview:
    """What was written down of a run.

    Attributes:
        image: the frame's picture.
        full: prediction of the full-precision detector, batch of one.
        iterations: when predictions were written down, rising.
        predictions: those of the quantized model at each of them.
    """

    image: Image
    full: Any
    iterations: tuple[int, ...]
    predictions: tuple[Any, ...]


def begin(folder: RunFolder, task: Task[Any], image: Image, full: Prediction) -> None:
    """Write down the frame's picture and its full-precision prediction, batch of one."""
    small = fitted(image, LONGEST) if max(image.shape[:2]) > LONGEST else image
    write_atomic(folder.path / "preview.jpg", jpeg(small, QUALITY))
    folder.preview.append({**task.about(full), "full": task.record(full)})


def add(folder: RunFolder, task: Task[Any], iteration: int, prediction: Prediction) -> None:
    """Write down the quantized model's prediction, batch of one."""
    folder.preview.append({"iteration": iteration, task.words.plural: task.record(prediction)})


def read(folder: RunFolder, task: Task[Any]) -> Preview | None:
    """What there is so far; None for a run that was not watched.

    Raises:
        InputError: it is damaged.
    """
    lines, _ = folder.preview.read()
    encoded = folder.path / "preview.jpg"
    if len(lines) < 2 or not encoded.is_file():
        return None
    try:
        image = read_image(encoded)
        first, *later = lines
        found = tuple(task.restored(line[task.words.plural], first) for line in later)
        return Preview(image, task.restored(first["full"], first), tuple(int(one["iteration"]) for one in later), found)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the preview in {folder.path} is damaged ({error}): delete preview.jsonl there") from error
