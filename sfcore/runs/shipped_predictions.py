"""Predictions that ship: those of the run that ships, about the samples; ``python -m sfcore.runs.shipped_predictions``
makes them.

They stand in for running a quantized model only where the model and the image are the same, by content. A test asserts
that the code still computes them; where it no longer does, that command makes those that ship again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors.registry import entry
from sfcore.files import write_atomic
from sfcore.resources import sample_data
from sfcore.runs.folder import RunFolder
from sfcore.runs.results import FILES, ModelName, load_model, models_of
from sfcore.runs.shipped import shipped
from sfcore.tasks.base import Prediction
from sfcore.tensors import read_about, read_tensors

FILE = sample_data() / "predictions" / "tour.safetensors"


@dataclass(frozen=True)
class ShippedPredictions:
    """What one model finds in some images.

    Attributes:
        images: the content hash of each.
        found: the prediction about all of them.
    """

    images: Sequence[str]
    found: Prediction

    def about(self, image: str) -> Prediction | None:
        """The prediction about one image by its content hash; None where it does not ship."""
        return self.found[self.images.index(image)] if image in self.images else None


def shipped_predictions(run: RunFolder, which: ModelName, like: Callable[[], Prediction]) -> ShippedPredictions | None:
    """What the quantized model of a run finds in the samples, if it is that of the run that ships, or a copy of it.

    Args:
        like: gives any prediction of the run's detector; not asked where nothing ships.
    """
    if run.spec != shipped().spec or not FILE.is_file():
        return None  # and no model is read
    made_of = json.loads(read_about(FILE)["made_of"])
    if made_of["models"].get(which) != _made_of(run, which):
        return None
    tensors, template = read_tensors(FILE), like()
    each = {name: tensors[f"{which}.{name}"] for name in _batched(template)}
    return ShippedPredictions(made_of["images"], replace(template, **each))  # type: ignore[type-var]


def predicted(run: RunFolder, which: ModelName, images: Sequence[Path]) -> Prediction:
    """What a quantized model of a run finds in images, run one by one as the app does."""
    model, found = load_model(run, which), list[Prediction]()
    with torch.no_grad():
        for image in images:
            found.append(model.decode(model(model.preprocess([model.preprocessing.read(image)]))))
    joined: Prediction = model.task.join(found)
    return joined


def _batched(found: Prediction) -> dict[str, Tensor]:
    """The fields of a prediction that have a row for each image."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if isinstance(value, Tensor) and value.ndim > 1}


def make() -> None:
    """Write the file anew."""
    run = shipped()
    known = entry(run.spec.detector).input
    images = find_images([sample_data() / known.samples], formats=known.formats)
    found = {which: predicted(run, which, images) for which in models_of(run)}
    tensors = {f"{which}.{name}": value for which, each in found.items() for name, value in _batched(each).items()}
    about: dict[str, Any] = {
        "models": {which: _made_of(run, which) for which in found},
        "images": [content_hash([image]) for image in images],
    }
    FILE.parent.mkdir(exist_ok=True)
    write_atomic(FILE, save(tensors, {"made_of": json.dumps(about)}))


def _made_of(run: RunFolder, which: ModelName) -> list[str]:
    """The contents that make a model: its state, and the run's weights."""
    return [content_hash([run.path / f"{FILES[which]}.safetensors"]), content_hash([run.spec.weights_file()])]


if __name__ == "__main__":
    make()
