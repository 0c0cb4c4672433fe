"""Detection over a dataset in shards; ``python -m sfcore.runs.detection_shards SPOOL`` is a worker of it.

A worker keeps what its shard's frames hold to the last bit, and whoever asked files it, frame by frame in the
dataset's order, so that formats of one file for all frames have a single writer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.datasets.dataset import Dataset, Predictions, open_dataset, spread
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import BATCH, Detected, detections, file, labelled
from sfcore.files import clear_away, parse_json, read_text, write_json
from sfcore.runs.errands import serve
from sfcore.runs.folder import RunFolder
from sfcore.runs.results import load_model
from sfcore.runs.shards import Crew, Progress, Shard, each_done, folder_of, shards_of
from sfcore.runs.spool import Errand

SIZE = 8 * BATCH  # images of a shard: whole batches, for a result's last bits may depend on its batch


def chosen(where: Mapping[str, Any]) -> Dataset:
    """A dataset, or as many of its frames as were asked for.

    Args:
        where: ``root``, ``split``, ``layout`` and ``limit``; all but the first may be None.

    Raises:
        InputError: see :func:`open_dataset`; or the limit is under 1.
    """
    dataset, limit = open_dataset(Path(where["root"]), where["split"], where["layout"]), where["limit"]
    if limit is None:
        return dataset
    if limit < 1:
        raise InputError(f"the limit is {limit}: it must be at least 1 image")
    few = copy.copy(dataset)
    few.frames = spread(dataset.frames, limit)
    return few


def model_of(about: Mapping[str, Any], device: str) -> Detector:
    """The ``model`` of a ``run``, or a ``detector`` with ``weights`` and ``weights_key``."""
    if "run" in about:
        return load_model(RunFolder.open(Path(about["run"])), about["model"], resolve_device(device))
    return registry.create(about["detector"], about["weights"], resolve_device(device), about["weights_key"])


def predict_in_shards(
    crew: Crew, out: Path, request: Errand, dataset: Dataset, predictions: Predictions, progress: Progress | None = None
) -> dict[str, str]:
    """:func:`sfcore.evaluation.evaluate.predict`, spread over workers.

    Args:
        out: on storage that all workers share.
        request: ``dataset`` as of :func:`chosen`, ``model`` as of :func:`model_of`, and ``device``.
    """
    done, problems = predictions.done(), dict[str, str]()
    folder = folder_of(out, request)
    shards = [
        shard
        for shard in shards_of(folder, len(dataset.frames), SIZE, ".json")
        if any(frame.name not in done for frame in dataset.frames[shard.start : shard.stop])
    ]
    for shard in each_done(crew.hired(__name__, "evaluate", out), request, shards, progress):
        found, wrong = _read(shard, dataset)
        problems |= wrong
        file(dataset, predictions, [one for one in found if one.frame.name not in done], problems)
    clear_away(folder)
    predictions.finish()
    return problems


def _read(shard: Shard, dataset: Dataset) -> tuple[list[Detected], dict[str, str]]:
    """What a shard's file says. Raises InputError: it is damaged."""
    frames = {frame.name: frame for frame in dataset.frames[shard.start : shard.stop]}
    text = read_text(shard.file)
    try:
        content = parse_json(text)
        found = [
            Detected(frames[name], [_array(each) for each in objects], ms) for name, objects, ms in content["found"]
        ]
        return found, dict(content["problems"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{shard.file} is damaged ({error}): delete it, then run again") from error


def carry_out(errand: Errand) -> int:
    """Detect in the frames of a shard; how many could be read."""
    dataset, model = _opened(json.dumps({key: errand[key] for key in ("dataset", "model", "device")}))
    problems, found = dict[str, str](), list[Any]()
    for _, batch in detections(model, dataset, dataset.frames[errand["start"] : errand["stop"]], problems):
        found += [[one.frame.name, [_plain(each) for each in one.objects], one.milliseconds] for one in batch]
    write_json(Path(errand["file"]), {"found": found, "problems": problems})
    return len(found)


@lru_cache(1)
def _opened(text: str) -> tuple[Dataset, Detector]:
    request = json.loads(text)
    model = model_of(request["model"], request["device"])
    return labelled(chosen(request["dataset"]), model.task), model


def _plain(values: np.ndarray) -> list[Any]:
    """An array as JSON holds it to the last bit: its type, its shape and its numbers, which Python writes in full."""
    return [values.dtype.name, list(values.shape), values.reshape(-1).tolist()]


def _array(content: Any) -> np.ndarray:
    kind, shape, values = content
    return np.array(values, np.dtype(kind)).reshape(shape)


if __name__ == "__main__":
    serve(carry_out)
